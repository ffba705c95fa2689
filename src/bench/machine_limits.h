// What this machine can do at most, measured as simply as possible, to be compared with what qvl does on it.
#pragma once

#include <cstdint>
#include <filesystem>

#include "qvl/progress.h"

namespace qvl {

// Per second; 0 where it was not measured or cannot be had.
struct MachineLimits {
  double disk_buffered_bytes = 0;  // see DiskSpeed
  double disk_direct_bytes = 0;
  double memory_read_bytes = 0;
  double memory_copy_bytes = 0;  // bytes read plus bytes written
  double f32_flop = 0;           // a multiply-add is two

  [[nodiscard]] double disk_write_bytes() const noexcept;
  // The better of both for each.
  [[nodiscard]] MachineLimits best_with(const MachineLimits& other) const noexcept;
};

// The machine is shared and noise only makes it slower: measured before and after the work.
struct MeasuredLimits {
  MachineLimits before;
  MachineLimits after;
  [[nodiscard]] MachineLimits best() const noexcept { return before.best_with(after); }
};

struct LimitsOptions {
  // For each of the limits; 0: none is measured. Below 0.1 the memory's are those of a buffer of 32 MiB,
  // which may lie in a cache: enough for tests.
  double seconds = 1;
  bool disk = false;
  bool memory = false;
  bool arithmetic = false;
  std::filesystem::path disk_folder{};
  std::uint64_t disk_bytes = 0;         // see DiskSpeedOptions::bytes
  Progress* progress = nullptr;         // may be null
  const CancelToken* cancel = nullptr;  // may be null
};

// Memory: all processors read, then copy, parts of a buffer of eight times the last cache, at least 256 MiB
// (but no more than a quarter of the free memory); arithmetic: all processors run the kernel of
// fma_kernel.h. Each is the best of many bursts. Throws as measure_disk_write does, MachineError when memory
// runs out, UsageError for a time that is negative or over a minute.
[[nodiscard]] MachineLimits measure_limits(const LimitsOptions& options);

// A rate that a task has (the first number) as a part of what the machine can; 0 where either is unknown.
[[nodiscard]] inline double share_of(double rate, double limit) noexcept {
  return limit > 0 ? rate / limit : 0;
}

}  // namespace qvl
