#include "core/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace qvl {
namespace {

// The value of a binary16 pattern from its definition in IEEE 754, by arithmetic in double.
double half_by_definition(unsigned bits) {
  const int sign = (bits & 0x8000U) != 0 ? -1 : 1;
  const int exponent = static_cast<int>((bits >> 10U) & 0x1fU);
  const int fraction = static_cast<int>(bits & 0x3ffU);
  if (exponent == 31) return fraction != 0 ? NAN : sign * static_cast<double>(INFINITY);
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

TEST(Half, EveryPatternWidensToItsDefinition) {
  for (unsigned bits = 0; bits <= 0xffffU; ++bits) {
    const float value = to_float(Half{static_cast<std::uint16_t>(bits)});
    const double expected = half_by_definition(bits);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(value)) << bits;
    } else {
      EXPECT_EQ(value, expected) << bits;
      EXPECT_EQ(std::signbit(value), std::signbit(expected)) << bits;
    }
  }
}

TEST(Half, EveryPatternSurvivesTheRoundTrip) {
  for (unsigned bits = 0; bits <= 0xffffU; ++bits) {
    const Half half{static_cast<std::uint16_t>(bits)};
    if (std::isnan(to_float(half))) {
      EXPECT_TRUE(std::isnan(to_float(to_half(to_float(half)))));
    } else {
      EXPECT_EQ(to_half(to_float(half)).bits, bits);
    }
  }
}

TEST(Half, MidpointsRoundToEvenAndNeighboursToTheNearest) {
  // Between any two consecutive finite values: the midpoint goes to the even one, a step beside it to the
  // nearer.
  for (unsigned low = 0; low < 0x7bffU; ++low) {
    const double a = half_by_definition(low);
    const double b = half_by_definition(low + 1);
    const auto middle = static_cast<float>((a + b) / 2);  // exact: 12 bits of significand
    const unsigned even = (low & 1U) == 0 ? low : low + 1;
    EXPECT_EQ(to_half(middle).bits, even);
    EXPECT_EQ(to_half(std::nextafter(middle, 0.0F)).bits, low);
    EXPECT_EQ(to_half(std::nextafter(middle, INFINITY)).bits, low + 1);
  }
}

TEST(Half, BeyondTheRangeIsInfinity) {
  EXPECT_EQ(to_half(65519.99F).bits, 0x7bffU);
  EXPECT_EQ(to_half(65520.0F).bits, 0x7c00U);
  EXPECT_EQ(to_half(-1e30F).bits, 0xfc00U);
  EXPECT_EQ(to_half(std::numeric_limits<float>::infinity()).bits, 0x7c00U);
}

TEST(BFloat16, RoundsHalfToEven) {
  EXPECT_EQ(to_bfloat16(1.0F).bits, 0x3f80U);
  EXPECT_EQ(to_bfloat16(1.00390625F).bits, 0x3f80U);  // 1 + 2^-8: tie, even below
  EXPECT_EQ(to_bfloat16(1.01171875F).bits, 0x3f82U);  // 1 + 3 x 2^-8: tie, even above
  EXPECT_TRUE(std::isnan(to_float(to_bfloat16(NAN))));
  EXPECT_EQ(to_float(BFloat16{0xc040}), -3.0F);
}

}  // namespace
}  // namespace qvl
