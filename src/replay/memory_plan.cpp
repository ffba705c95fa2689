#include "replay/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "core/process_memory.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

}  // namespace

MemoryPlan::MemoryPlan(std::uint64_t limit_bytes) : limit_(limit_bytes) {
  if (limit_ != 0) return;
  const std::uint64_t left = available_memory_bytes().value_or(std::uint64_t{4} << 30U);
  limit_ = resident() + left / 10 * 9;
}

std::uint64_t MemoryPlan::weight_bytes() const noexcept { return limit_ / 4; }

void MemoryPlan::learn(std::uint64_t fixed_bytes, std::uint64_t run_bytes, std::uint64_t sample_bytes) {
  fixed_ = fixed_bytes;
  run_ = std::max(run_bytes, 4 * kMiB);
  sample_ = std::max<std::uint64_t>(sample_bytes, 1);
}

unsigned MemoryPlan::workers(unsigned wanted) const {
  // States of a sample: the unquantized model, all units quantized, and two candidates.
  const std::uint64_t least = fixed_ + weight_bytes() + 4 * sample_;
  const std::uint64_t left = limit_ > least ? limit_ - least : 0;
  if (left < run_) {
    const std::uint64_t enough = (fixed_ + 4 * sample_ + run_) / 3 * 4;
    throw MachineError(
        fmt::format("{} MiB of memory do not suffice for this model and these samples; {} MiB would",
                    limit_ / kMiB, enough / kMiB + 1));
  }
  return static_cast<unsigned>(std::clamp<std::uint64_t>(left / run_, 1, wanted));
}

std::uint64_t MemoryPlan::state_bytes(unsigned workers) const {
  const std::uint64_t others = fixed_ + weight_bytes() + workers * run_;
  return limit_ > others + 4 * sample_ ? limit_ - others : 4 * sample_;
}

std::uint64_t MemoryPlan::resident() {
  const auto memory = process_memory();
  return memory ? memory->resident_bytes : 0;
}

void MemoryPlan::watch() {
  std::ofstream("/proc/self/clear_refs") << "5";  // VmHWM starts anew; where it cannot, it stays too large
}

std::uint64_t MemoryPlan::most_resident() {
  const auto memory = process_memory();
  return memory ? memory->peak_bytes : 0;
}

}  // namespace qvl
