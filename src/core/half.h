// IEEE 754 binary16 and bfloat16 as bit patterns, and their conversions to and from float (round half to
// even).
#pragma once

#include <bit>
#include <cstdint>

namespace qvl {

struct Half {
  std::uint16_t bits = 0;
  friend bool operator==(Half, Half) = default;
};

struct BFloat16 {
  std::uint16_t bits = 0;
  friend bool operator==(BFloat16, BFloat16) = default;
};

inline constexpr float kHalfMinNormal = 6.103515625e-05F;  // 2^-14

// Branch-free, so that a loop over it becomes vector code.
[[nodiscard]] inline float to_float(Half h) noexcept {
  const std::uint32_t magnitude = h.bits & 0x7fffU;
  const std::uint32_t sign = static_cast<std::uint32_t>(h.bits & 0x8000U) << 16U;
  // Exponents are biased by 127 instead of 15; infinity and NaN need the step from 31 to 255 as well.
  const std::uint32_t normal = (magnitude << 13U) + (112U << 23U) + (magnitude >= 0x7c00U ? 112U << 23U : 0U);
  const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(
      static_cast<float>(static_cast<std::int32_t>(magnitude)) * 5.9604644775390625e-08F);  // 2^-24
  return std::bit_cast<float>(sign | (magnitude < 0x0400U ? subnormal : normal));
}

// Values beyond the range become infinity, as IEEE 754 has it; NaN stays NaN.
[[nodiscard]] inline Half to_half(float value) noexcept {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  const std::uint32_t normal = (magnitude + 0x0fffU + ((magnitude >> 13U) & 1U) - (112U << 23U)) >> 13U;
  // Adding 0.5 leaves the value in units of 2^-24 (the step of half's subnormals) in the low bits, rounded by
  // the FPU.
  const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5F) -
                                  std::bit_cast<std::uint32_t>(0.5F);
  std::uint32_t result = magnitude < (113U << 23U) ? subnormal : normal;
  result = magnitude >= (143U << 23U) ? 0x7c00U : result;
  result = magnitude > 0x7f800000U ? 0x7e00U : result;
  return {static_cast<std::uint16_t>(result | ((bits >> 16U) & 0x8000U))};
}

[[nodiscard]] inline float to_float(BFloat16 b) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(b.bits) << 16U);
}

[[nodiscard]] inline BFloat16 to_bfloat16(float value) noexcept {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7fffU + ((bits >> 16U) & 1U)) >> 16U;
  const bool nan = (bits & 0x7fffffffU) > 0x7f800000U;
  return {static_cast<std::uint16_t>(nan ? (bits >> 16U) | 0x0040U : rounded)};
}

}  // namespace qvl
