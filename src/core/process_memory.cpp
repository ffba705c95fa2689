#include "core/process_memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

namespace qvl {
namespace {

// The file in one read, so that its lines are of one instant; "" when there is none.
std::string text_of(const std::filesystem::path& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  std::array<char, 16384> buffer;
  const ssize_t n = ::read(fd, buffer.data(), buffer.size());
  ::close(fd);
  return n <= 0 ? "" : std::string(buffer.data(), static_cast<std::size_t>(n));
}

// The number behind a key in texts with lines like "VmRSS:   1234 kB" or "inactive_file 1234".
std::optional<std::uint64_t> value_of(const std::string& text, std::string_view key,
                                      std::uint64_t unit_bytes) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    std::uint64_t value = 0;
    if (words >> word >> value && word == key) return value * unit_bytes;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> number_in(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::uint64_t value = 0;
  if (in >> value) return value;
  return std::nullopt;
}

// What the control group of this process (version 2, or version 1 below its own mount) leaves; page cache
// that can be dropped counts as free.
std::optional<std::uint64_t> left_in_control_group(const std::filesystem::path& root) {
  std::ifstream in(root / "proc/self/cgroup");
  std::optional<std::uint64_t> least;
  for (std::string line; std::getline(in, line);) {
    const std::size_t second = line.find(':', line.find(':') + 1);
    if (second == std::string::npos) continue;
    const std::string path = line.substr(second + 1);
    const bool unified = line.starts_with("0::");
    if (!unified && line.find(":memory:") == std::string::npos) continue;
    std::filesystem::path folder = root / (unified ? "sys/fs/cgroup" : "sys/fs/cgroup/memory");
    folder += path;
    const auto limit = number_in(folder / (unified ? "memory.max" : "memory.limit_in_bytes"));
    const auto used = number_in(folder / (unified ? "memory.current" : "memory.usage_in_bytes"));
    if (!limit || !used) continue;
    const auto cache =
        value_of(text_of(folder / "memory.stat"), unified ? "inactive_file" : "total_inactive_file", 1);
    const std::uint64_t held = *used - std::min(*used, cache.value_or(0));
    const std::uint64_t left = *limit - std::min(*limit, held);
    least = std::min(left, least.value_or(left));
  }
  return least;
}

}  // namespace

std::optional<ProcessMemory> process_memory() {
  const std::string status = text_of("/proc/self/status");
  const auto resident = value_of(status, "VmRSS:", 1024);
  if (!resident) return std::nullopt;
  return ProcessMemory{*resident, value_of(status, "VmHWM:", 1024).value_or(*resident),
                       value_of(status, "RssAnon:", 1024).value_or(0),
                       value_of(status, "RssFile:", 1024).value_or(0)};
}

std::optional<std::uint64_t> available_memory_bytes(const std::filesystem::path& root) {
  auto available = value_of(text_of(root / "proc/meminfo"), "MemAvailable:", 1024);
  if (const auto left = left_in_control_group(root); left && available)
    available = std::min(*available, *left);
  return available;
}

}  // namespace qvl
