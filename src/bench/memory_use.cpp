#include "bench/memory_use.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "core/process_memory.h"

namespace qvl {
namespace {

constexpr std::chrono::milliseconds kPeriod{20};

void keep_larger(std::optional<std::uint64_t>& most, const std::optional<std::uint64_t>& now) {
  if (now) most = std::max(most.value_or(0), *now);
}

}  // namespace

MemoryUse memory_use() {
  const auto memory = process_memory();
  if (!memory) return {};
  return {memory->resident_bytes, memory->anonymous_bytes, memory->file_bytes};
}

bool reset_peak_memory() {
  const int fd = ::open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool done = ::write(fd, "5", 1) == 1;
  ::close(fd);
  return done;
}

std::optional<std::uint64_t> peak_memory_bytes() {
  const auto memory = process_memory();
  if (!memory) return std::nullopt;
  return memory->peak_bytes;
}

MemoryWatch::MemoryWatch() : peak_is_exact_(reset_peak_memory()) {
  look();
  thread_ = std::thread([this] { watch(); });
}

MemoryWatch::~MemoryWatch() {
  if (thread_.joinable()) (void)stop();
}

void MemoryWatch::look() {
  const MemoryUse now = memory_use();
  keep_larger(most_.resident, now.resident);
  keep_larger(most_.anonymous, now.anonymous);
  keep_larger(most_.file, now.file);
}

void MemoryWatch::watch() {
  std::unique_lock lock(mutex_);
  while (!ended_changed_.wait_for(lock, kPeriod, [this] { return ended_; })) look();
}

MemoryUse MemoryWatch::stop() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  ended_changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  look();
  if (peak_is_exact_) keep_larger(most_.resident, peak_memory_bytes());
  return most_;
}

}  // namespace qvl
