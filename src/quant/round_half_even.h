// Rounding for kernels to inline.
#pragma once

#include <bit>
#include <cstdint>

#include "core/isa.h"

namespace qvl {

// Of magnitudes below 2^22, as IEEE 754 addition does it where a unit is 1.
QVL_ALWAYS_INLINE std::int32_t round_half_even(float value) {
  constexpr float kUnitIsOne = 0x1.8p23F;
  return std::bit_cast<std::int32_t>(value + kUnitIsOne) - std::bit_cast<std::int32_t>(kUnitIsOne);
}

}  // namespace qvl
