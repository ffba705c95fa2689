#include "quant/linear_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

namespace qvl {
namespace {

constexpr auto kPositive = LinearHistogram::positive;
constexpr auto kNegative = LinearHistogram::negative;

void add(LinearHistogram& histogram, const std::vector<float>& values) {
  float magnitude = 0;
  for (const float value : values) magnitude = std::max(magnitude, std::fabs(value));
  histogram.add(values, magnitude);
}

void expect_same(const LinearHistogram& found, const LinearHistogram& expected) {
  EXPECT_EQ(found.width(), expected.width());
  for (const auto side : {kPositive, kNegative}) {
    EXPECT_TRUE(std::ranges::equal(found.counts(side), expected.counts(side)));
  }
}

TEST(LinearHistogram, PutsValuesInTheirBins) {
  LinearHistogram histogram;
  EXPECT_EQ(histogram.width(), 0.0);
  add(histogram, {4095.9F, 0.0F, -0.0F, 0.5F, -0.5F, 1.0F, -1.0F, -4095.0F, 2.5F});
  EXPECT_EQ(histogram.width(), 1.0);
  EXPECT_EQ(histogram.counts(kPositive)[0], 3U);
  EXPECT_EQ(histogram.counts(kPositive)[1], 1U);
  EXPECT_EQ(histogram.counts(kPositive)[2], 1U);
  EXPECT_EQ(histogram.counts(kPositive)[4095], 1U);
  EXPECT_EQ(histogram.counts(kNegative)[0], 1U);
  EXPECT_EQ(histogram.counts(kNegative)[1], 1U);
  EXPECT_EQ(histogram.counts(kNegative)[4095], 1U);
  add(histogram, {4096.0F});
  EXPECT_EQ(histogram.width(), 2.0);
  EXPECT_EQ(histogram.counts(kPositive)[0], 4U);
  EXPECT_EQ(histogram.counts(kPositive)[1], 1U);
  EXPECT_EQ(histogram.counts(kPositive)[2047], 1U);
  EXPECT_EQ(histogram.counts(kPositive)[2048], 1U);
  EXPECT_EQ(histogram.counts(kNegative)[0], 2U);
}

TEST(LinearHistogram, IsTheSameInAnyOrderAndAnyParts) {
  std::mt19937 random(4);
  std::normal_distribution<float> exponent(0.0F, 20.0F);
  std::vector<float> values{0.0F};
  for (int i = 0; i < 3000; ++i) values.push_back(std::exp2(exponent(random)) * (i % 3 == 0 ? -1.0F : 1.0F));
  std::ranges::sort(values);
  LinearHistogram whole;
  add(whole, values);
  for (int round = 0; round < 5; ++round) {
    std::ranges::shuffle(values, random);
    LinearHistogram one_by_one;
    LinearHistogram merged;
    LinearHistogram part;
    for (std::size_t i = 0; i < values.size(); ++i) {
      add(one_by_one, {values[i]});
      add(part, {values[i]});
      if (random() % 100 == 0 || i + 1 == values.size()) {
        merged.merge(part);
        part = {};
      }
    }
    merged.merge({});
    expect_same(one_by_one, whole);
    expect_same(merged, whole);
  }
}

TEST(LinearHistogram, TakesTheGreatestAndTheLeast) {
  LinearHistogram histogram;
  add(histogram, {0.0F});
  add(histogram, {std::numeric_limits<float>::denorm_min()});
  EXPECT_EQ(histogram.counts(kPositive)[0], 2U);
  add(histogram, {-std::numeric_limits<float>::max()});
  EXPECT_EQ(histogram.counts(kNegative)[4095], 1U);
  EXPECT_EQ(histogram.counts(kPositive)[0], 2U);
  EXPECT_EQ(histogram.width(), std::ldexp(1.0, 116));
}

}  // namespace
}  // namespace qvl
