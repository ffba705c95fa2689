// Random weights that any thread can make from any place on.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/dtype.h"
#include "core/isa.h"

namespace qvl {

// Element i is mean + deviation * z(i), where z is about standard normal and depends on nothing but seed,
// name and i: the bits are the same on any machine, in any order and on any number of threads. All of it is
// integer arithmetic but for one conversion to float, one product and one sum (IEEE 754 single, not fused),
// rounded half to even to the dtype: no logarithm or cosine, which differ between libraries. F32, F16 and
// BF16 of one stream are the same values rounded.
//
// z is the sum of four uniform 16-bit integers less its mean, in units of its deviation sqrt((2^32 - 1) / 3):
// the Irwin-Hall distribution with n = 4. It is symmetric, lies within 3.47 deviations, and its excess
// kurtosis is -0.3. The 64 bits come from a bijection of 32-bit numbers, which is the finaliser `triple32` of
// Chris Wellons (https://nullprogram.com/blog/2018/07/31/) with a word of key before, between and after its
// rounds, and a further multiply-xorshift of its result; the four words of key come from seed, name and i /
// 2^32 through FNV-1a and SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators,
// 2014). It is not for cryptography. It takes less than half the time of Philox4x32-7.
class Noise {
 public:
  Noise(std::uint64_t seed, std::string_view name, float mean, float deviation) noexcept;

  // Elements from `first` on, as many as `destination` has room for; at any alignment. dtype: F32, F16 or
  // BF16, else UsageError. F16 saturates.
  void fill(DType dtype, std::uint64_t first, std::span<std::byte> destination, Isa isa = best_isa()) const;

  using Key = std::array<std::uint32_t, 4>;

 private:
  [[nodiscard]] Key key(std::uint32_t high) const noexcept;

  std::uint64_t state_;  // of seed and name
  float mean_;
  float step_;  // deviation / sqrt((2^32 - 1) / 3)
};

}  // namespace qvl
