// How much memory this process holds.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>

namespace qvl {

// Bytes resident now, or the most that were (each by itself: the parts of one instant need not be those of
// the sum's). Nothing where the system does not say.
struct MemoryUse {
  std::optional<std::uint64_t> resident;   // VmRSS
  std::optional<std::uint64_t> anonymous;  // RssAnon: allocated, not backed by a file
  std::optional<std::uint64_t> file;       // RssFile: pages of mapped files; the system can drop them
};

[[nodiscard]] MemoryUse memory_use();

// The peak of what was resident since the last reset (VmHWM). reset_peak_memory() is false where the system
// refuses it; then the peak is that since the process began, and tells nothing of the work.
[[nodiscard]] bool reset_peak_memory();
[[nodiscard]] std::optional<std::uint64_t> peak_memory_bytes();

// Watches the memory of this process while it lives: a thread looks every 20 ms.
class MemoryWatch {
 public:
  MemoryWatch();
  ~MemoryWatch();
  MemoryWatch(const MemoryWatch&) = delete;
  MemoryWatch& operator=(const MemoryWatch&) = delete;

  // Ends it: the maxima seen, in `resident` the exact peak where the system tells it.
  [[nodiscard]] MemoryUse stop();

 private:
  void look();
  void watch();

  std::mutex mutex_;
  std::condition_variable ended_changed_;
  bool ended_ = false;
  bool peak_is_exact_ = false;
  MemoryUse most_;
  std::thread thread_;
};

}  // namespace qvl
