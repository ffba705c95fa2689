#include "quant/value_range.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <vector>

namespace qvl {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

ValueRange plain(const std::vector<float>& values) {
  ValueRange range;
  for (const float value : values) {
    if (value != value) range.nan = true;
    if (value < range.least) range.least = value;
    if (value > range.most) range.most = value;
  }
  return range;
}

TEST(ValueRange, IsThatOfAnyBitsOnEveryPath) {
  std::mt19937 random(3);
  for (const std::size_t count : {1U, 2U, 7U, 16U, 33U, 1000U}) {
    for (const std::uint32_t mask : {0xFFFFFFFFU, 0x3FFFFFFFU, 0xBFFFFFFFU, 0x80000000U}) {
      for (int round = 0; round < 20; ++round) {
        std::vector<float> values(count);
        for (float& value : values) value = std::bit_cast<float>(static_cast<std::uint32_t>(random()) & mask);
        for (const Isa isa : supported_isas()) EXPECT_EQ(min_max(values, isa), plain(values)) << name(isa);
      }
    }
  }
}

TEST(ValueRange, ReportsNaNAndGoesOnWithoutIt) {
  for (const float nan : {kNaN, -kNaN}) {
    for (const Isa isa : supported_isas()) {
      std::vector<float> values(50, 1.0F);
      values[3] = -2.0F;
      values[40] = nan;
      EXPECT_EQ(min_max(values, isa), (ValueRange{-2.0F, 1.0F, true}));
      const ValueRange nothing = min_max(std::vector<float>(20, nan), isa);
      EXPECT_TRUE(nothing.nan);
      EXPECT_TRUE(nothing.empty());
    }
  }
}

TEST(ValueRange, HasInfinitiesAndOneZero) {
  for (const Isa isa : supported_isas()) {
    EXPECT_EQ(min_max(std::vector<float>{1.0F, -kInfinity, kInfinity}, isa),
              (ValueRange{-kInfinity, kInfinity, false}));
    const ValueRange zero = min_max(std::vector<float>{-0.0F, -0.0F}, isa);
    EXPECT_FALSE(std::signbit(zero.least));
    EXPECT_FALSE(std::signbit(zero.most));
    EXPECT_FALSE(std::signbit(min_max(std::vector<float>{-0.0F, kNaN}, isa).least));
    EXPECT_TRUE(min_max({}, isa).empty());
  }
}

TEST(ValueRange, Merges) {
  ValueRange range;
  range.merge({1.0F, 2.0F, false});
  EXPECT_EQ(range, (ValueRange{1.0F, 2.0F, false}));
  range.merge({-1.0F, 1.5F, true});
  EXPECT_EQ(range, (ValueRange{-1.0F, 2.0F, true}));
  range.merge({});
  EXPECT_EQ(range, (ValueRange{-1.0F, 2.0F, true}));
}

}  // namespace
}  // namespace qvl
