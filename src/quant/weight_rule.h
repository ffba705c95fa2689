// The two rules by which weights that share a scale become small integers (quant/fake_quantize.h says which
// format has which), for kernels to inline.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "core/isa.h"
#include "quant/round_half_even.h"

namespace qvl::weight_rule {

// A number's sort key: larger for a larger magnitude and, of two numbers of one magnitude, for the negative
// one. NaN is above infinity. Being an integer, its maximum is the same in any order and makes vector code.
QVL_ALWAYS_INLINE std::uint32_t key_of(float value) {
  return std::rotl(std::bit_cast<std::uint32_t>(value), 1);
}
QVL_ALWAYS_INLINE float value_of(std::uint32_t key) { return std::bit_cast<float>(std::rotr(key, 1)); }
constexpr std::uint32_t kFirstNotFinite = 0xFF000000U;  // key_of(infinity)

// scale: times a level (an integer in a float) gives the value. factor: what a value is divided by or
// multiplied with.
struct Step {
  float scale;
  float factor;
};

// Levels are kept within their limits as integers: GCC makes no vector code of comparisons of floats, which
// could trap.

// Symmetric: -127 to 127, by division.
struct Symmetric {
  QVL_ALWAYS_INLINE static Step step(std::uint32_t largest_key) {
    const float scale = std::bit_cast<float>(largest_key >> 1U) / 127.0F;
    const float used = std::bit_cast<std::uint32_t>(scale) != 0U ? scale : 1.0F;
    return {used, used};
  }
  // A quotient is beyond 127.0001 only where the scale is subnormal and so inexact, and then at most 190.
  QVL_ALWAYS_INLINE static std::int32_t level(float value, Step step) {
    return std::clamp(round_half_even(value / step.factor), -127, 127);
  }
};

// -half to half - 1, by multiplication with the reciprocal scale; the value of largest magnitude becomes
// -half.
template <int kHalf>
struct Middle {
  QVL_ALWAYS_INLINE static Step step(std::uint32_t largest_key) {
    const float scale =
        value_of(largest_key) * (-1.0F / static_cast<float>(kHalf));  // a power of two: as if divided
    const float reciprocal = 1.0F / scale;
    const std::uint32_t magnitude = std::bit_cast<std::uint32_t>(reciprocal) & 0x7FFFFFFFU;
    const bool usable = magnitude < 0x7F800000U;
    return {usable ? scale : 1.0F, usable ? reciprocal : 1.0F};
  }
  // ONNX Runtime rounds value * reciprocal + half with roundf: half away from zero, which for what is not
  // negative is up. The sum is -2^-20 * half at least, and negative ones become 0 either way. Adding 1/2 to
  // it is exact, as the sum is a multiple of what the addition of `half` left (half * 2^-24 or more), or
  // crosses a power of two less than 1/2 above an integer, where no rounding reaches the next one. So cutting
  // off after the addition is roundf.
  QVL_ALWAYS_INLINE static std::int32_t level(float value, Step step) {
    const float sum = (value * step.factor + static_cast<float>(kHalf)) + 0.5F;
    return std::clamp(static_cast<std::int32_t>(sum), 0, 2 * kHalf - 1) - kHalf;
  }
};

}  // namespace qvl::weight_rule
