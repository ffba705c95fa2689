// The fastest float arithmetic that a processor does: fused multiply-adds in registers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/isa.h"

namespace qvl {

// Floats that the kernel turns over: in the widest registers 12 independent chains, more than the 8 that two
// units with a latency of four cycles can have under way, and no more than the smallest register file holds.
inline constexpr std::size_t kFmaValues = 192;

// x -> 0.5 x + 1, `steps` times for each of the values: 2 x kFmaValues x steps floating-point operations.
// Every isa gives the same bits, those of std::fma. Throws UsageError for another number of values.
void run_fma(std::span<float> values, std::int64_t steps, Isa isa = best_isa());

}  // namespace qvl
