// Floats as integers of the same order.
#pragma once

#include <bit>
#include <cstdint>

#include "core/isa.h"

namespace qvl::float_order {

// Greater for greater values; -0 is just below +0. NaN lies above infinity, or below -infinity when its sign
// bit is set.
QVL_ALWAYS_INLINE std::int32_t place_of(float value) {
  const auto bits = std::bit_cast<std::int32_t>(value);
  return bits ^ ((bits >> 31) & 0x7FFFFFFF);
}
QVL_ALWAYS_INLINE float value_at(std::int32_t place) {
  return std::bit_cast<float>(place ^ ((place >> 31) & 0x7FFFFFFF));
}

}  // namespace qvl::float_order
