#include "bench/machine_info.h"

#include <sys/utsname.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string_view>
#include <thread>

#include "core/isa.h"

namespace qvl {
namespace {

// What stands behind "KEY:" in a file of lines; "" when nothing does.
std::string value_of(const char* file, std::string_view key) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(key)) continue;
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

std::uint64_t memory_field(std::string_view key) {
  const std::string text = value_of("/proc/meminfo", key);
  std::uint64_t kib = 0;
  std::from_chars(text.data(), text.data() + text.size(), kib);
  return kib * 1024;
}

}  // namespace

MachineInfo machine_info() {
  MachineInfo info;
  info.processor = value_of("/proc/cpuinfo", "model name");
  info.processors = processor_count();
  info.instructions = name(best_isa());
  info.memory_bytes = memory_field("MemTotal:");
  utsname system{};
  if (::uname(&system) == 0) info.system = std::string(system.sysname) + " " + system.release;
  return info;
}

std::size_t processor_count() noexcept {
  return std::max<std::size_t>(1, std::thread::hardware_concurrency());
}

}  // namespace qvl
