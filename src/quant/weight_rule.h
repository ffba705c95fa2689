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
QVL_ALWAYS_INLINE std::uint32_t magnitude_of(float value) {
  return std::bit_cast<std::uint32_t>(value) & 0x7FFFFFFFU;
}
constexpr std::uint32_t kInfinity = 0x7F800000U;  // magnitude_of(infinity)

// scale: times a level (an integer in a float) gives the value. factor: what a value is divided by or
// multiplied with.
struct Step {
  float scale;
  float factor;
};

// Levels are kept within their limits as integers: GCC makes no vector code of comparisons of floats, which
// could trap.

// Each rule has
//   step        the step of weights the largest of which has this key
//   of_scale    the step of a scale that is `usable`: finite, not 0, and fit for of_scale
//   level       of a value; not for any: its quotient by the scale is below 2^22
//   kFar        a quotient beyond all levels

// Symmetric: -127 to 127, by division.
struct Symmetric {
  static constexpr float kFar = 1024.0F;
  QVL_ALWAYS_INLINE static Step step(std::uint32_t largest_key) {
    const float scale = std::bit_cast<float>(largest_key >> 1U) / 127.0F;
    const float used = std::bit_cast<std::uint32_t>(scale) != 0U ? scale : 1.0F;
    return {used, used};
  }
  QVL_ALWAYS_INLINE static Step of_scale(float scale) { return {scale, scale}; }
  QVL_ALWAYS_INLINE static bool usable(float scale) { return magnitude_of(scale) - 1U < kInfinity - 1U; }
  // A quotient is beyond 127.0001 only where the scale is subnormal and so inexact, and then at most 190.
  QVL_ALWAYS_INLINE static std::int32_t level(float value, Step step) {
    return std::clamp(round_half_even(value / step.factor), -127, 127);
  }
};

// -half to half - 1, by multiplication with the reciprocal scale; the value of largest magnitude becomes
// -half.
template <int kHalf>
struct Middle {
  static constexpr float kFar = 8.0F * kHalf;
  QVL_ALWAYS_INLINE static Step step(std::uint32_t largest_key) {
    const float scale =
        value_of(largest_key) * (-1.0F / static_cast<float>(kHalf));  // a power of two: as if divided
    const float reciprocal = 1.0F / scale;
    const bool finite = magnitude_of(reciprocal) < kInfinity;
    return {finite ? scale : 1.0F, finite ? reciprocal : 1.0F};
  }
  QVL_ALWAYS_INLINE static Step of_scale(float scale) { return {scale, 1.0F / scale}; }
  QVL_ALWAYS_INLINE static bool usable(float scale) {
    return magnitude_of(scale) < kInfinity && magnitude_of(1.0F / scale) < kInfinity;
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

// The level of any value, also of one far beyond all levels; NaN has the lowest.
template <class Rule>
QVL_ALWAYS_INLINE std::int32_t far_level(float value, float scale) {
  const float limit = std::bit_cast<float>(magnitude_of(scale)) * Rule::kFar;
  const float not_low = value > -limit ? value : -limit;
  return Rule::level(not_low < limit ? not_low : limit, Rule::of_scale(scale));
}

}  // namespace qvl::weight_rule
