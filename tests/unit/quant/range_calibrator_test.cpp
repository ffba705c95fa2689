#include "quant/range_calibrator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include "quant/entropy_range.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
const std::vector<std::string_view> kCalibrations{"minmax",          "percentile:50",     "percentile:90",
                                                  "percentile:99.9", "percentile:99.999", "percentile:100",
                                                  "entropy"};

std::vector<float> values_of(std::size_t count, float mean) {
  std::mt19937 random(static_cast<std::uint32_t>(count));
  std::normal_distribution<float> distribution(mean, 1.0F);
  std::vector<float> values(count);
  for (float& value : values) value = distribution(random);
  values[count / 2] = 40.0F;
  return values;
}

RangeCalibrator of(std::string_view calibration, const std::vector<float>& values) {
  RangeCalibrator calibrator(parse_calibration(calibration));
  calibrator.observe(values);
  return calibrator;
}

// Away from the middle to the end of the floats that share their upper 16 bits.
float outwards(float value, bool up) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const bool away_from_zero = up ? value >= 0 : value < 0;
  return std::bit_cast<float>(away_from_zero ? bits | 0xFFFFU : bits & 0xFFFF0000U);
}

ValueRange plain_percentile(std::vector<float> values, double percentile) {
  std::ranges::sort(values);
  const auto cut =
      static_cast<std::size_t>(static_cast<double>(values.size()) * (100.0 - percentile) / 200.0);
  return {std::max(values.front(), outwards(values[cut], false)),
          std::min(values.back(), outwards(values[values.size() - 1 - cut], true)), false};
}

TEST(RangeCalibrator, MinmaxIsAll) {
  const std::vector<float> values = values_of(1000, 0.0F);
  EXPECT_EQ(of("minmax", values).range(), min_max(values));
}

TEST(RangeCalibrator, PercentileLeavesOutTheOutermost) {
  for (const float mean : {0.0F, 20.0F, -20.0F, 2.0F}) {
    for (const std::size_t count : {1U, 2U, 3U, 100U, 5001U}) {
      const std::vector<float> values = values_of(count, mean);
      for (const double percentile : {50.0, 75.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
        EXPECT_EQ(of("percentile:" + std::to_string(percentile), values).range(),
                  plain_percentile(values, percentile))
            << mean << " " << count << " " << percentile;
      }
    }
  }
  // 10000 values, of which 0.5 % lie beyond each bound.
  std::vector<float> even;
  for (int i = 1; i <= 10000; ++i) even.push_back(static_cast<float>(i));
  const ValueRange range = of("percentile:99", even).range();
  EXPECT_GE(range.most, 9950.0F);
  EXPECT_LT(range.most, 9950.0F * (1 + 0x1p-7F));
  EXPECT_LE(range.least, 51.0F);
  EXPECT_GT(range.least, 51.0F * (1 - 0x1p-7F));
}

TEST(RangeCalibrator, EntropyKeepsWithinTheValues) {
  std::vector<float> values = values_of(100000, 0.0F);
  for (float& value : values) value = std::max(value, -0.25F);
  LinearHistogram histogram;
  histogram.add(values, 40.0F);
  const double threshold = entropy_threshold(histogram);
  ASSERT_LT(threshold, 20.0);
  EXPECT_EQ(of("entropy", values).range(), (ValueRange{-0.25F, static_cast<float>(threshold), false}));
  EXPECT_EQ(of("entropy", {3.0F, 3.0F}).range(), (ValueRange{3.0F, 3.0F, false}));
}

TEST(RangeCalibrator, IsTheSameInAnyOrderAndAnyParts) {
  std::vector<float> values = values_of(20000, 0.5F);
  std::mt19937 random(1);
  for (const std::string_view calibration : kCalibrations) {
    const ValueRange expected = of(calibration, values).range();
    for (int round = 0; round < 3; ++round) {
      std::ranges::shuffle(values, random);
      RangeCalibrator merged(parse_calibration(calibration));
      RangeCalibrator stream(parse_calibration(calibration));
      for (std::size_t start = 0; start < values.size();) {
        const std::size_t count = std::min<std::size_t>(values.size() - start, random() % 3000);
        const auto part = std::span(values).subspan(start, count);
        for (const Isa isa : supported_isas().last(1)) stream.observe(part, isa);
        RangeCalibrator own(parse_calibration(calibration));
        own.observe(part, Isa::scalar);
        merged.merge(own);
        start += count;
      }
      EXPECT_EQ(stream.range(), expected) << calibration;
      EXPECT_EQ(merged.range(), expected) << calibration;
      EXPECT_EQ(merged.count(), values.size());
    }
  }
}

TEST(RangeCalibrator, CountsWhatIsNotFiniteAndLeavesItOut) {
  const std::vector<float> values = values_of(500, 0.0F);
  for (const std::string_view calibration : kCalibrations) {
    std::vector<float> dirty = values;
    dirty.insert(dirty.begin() + 100, {kNaN, kInfinity, -kInfinity, -kNaN});
    RangeCalibrator calibrator = of(calibration, dirty);
    EXPECT_EQ(calibrator.range(), of(calibration, values).range()) << calibration;
    EXPECT_EQ(calibrator.count(), 500U);
    EXPECT_EQ(calibrator.not_finite(), 4U);
    calibrator.observe(std::vector<float>{kInfinity});
    calibrator.observe(std::vector<float>{kNaN});
    calibrator.merge(of(calibration, {-kNaN}));
    EXPECT_EQ(calibrator.not_finite(), 7U);
    EXPECT_EQ(calibrator.range(), of(calibration, values).range()) << calibration;
  }
}

TEST(RangeCalibrator, RefusesToChooseFromNothing) {
  for (const std::string_view calibration : kCalibrations) {
    RangeCalibrator calibrator(parse_calibration(calibration));
    EXPECT_THROW((void)calibrator.range(), InputError);
    calibrator.observe({});
    calibrator.observe(std::vector<float>{kNaN, kNaN});
    EXPECT_THROW((void)calibrator.range(), InputError);
    calibrator.observe(std::vector<float>{0.0F});
    EXPECT_EQ(calibrator.range(), (ValueRange{0.0F, 0.0F, false})) << calibration;
  }
  EXPECT_THROW(RangeCalibrator({RangeRule::percentile, 0}), UsageError);
  RangeCalibrator minmax(parse_calibration("minmax"));
  EXPECT_THROW(minmax.merge(RangeCalibrator(parse_calibration("entropy"))), UsageError);
  RangeCalibrator percentile(parse_calibration("percentile:99"));
  EXPECT_THROW(percentile.merge(RangeCalibrator(parse_calibration("percentile:98"))), UsageError);
}

}  // namespace
}  // namespace qvl
