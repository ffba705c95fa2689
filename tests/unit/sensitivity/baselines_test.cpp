#include "sensitivity/baselines.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "quant/format.h"
#include "support/error_text.h"
#include "support/hand_made_model.h"
#include "support/model_run.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using test::floats_of;
using test::noise;

TEST(MeanVariance, IsThatOfEachChannelOverRows) {
  constexpr std::size_t kRowCount = 15;
  constexpr std::size_t kWidth = 7;
  std::vector<float> values = noise(kRowCount * kWidth, 1);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = values[i] * static_cast<float>(i % kWidth) + 3;
  double expected = 0;
  for (std::size_t c = 0; c < kWidth; ++c) {
    double mean = 0;
    for (std::size_t r = 0; r < kRowCount; ++r) mean += values[r * kWidth + c] / double{kRowCount};
    for (std::size_t r = 0; r < kRowCount; ++r)
      expected += std::pow(values[r * kWidth + c] - mean, 2) / (kRowCount * kWidth);
  }
  EXPECT_NEAR(mean_variance(floats_of({3, 5, kWidth}, values).view()), expected, expected * 1e-10);
  EXPECT_EQ(mean_variance(floats_of({4, 2}, {1, 2, 1, 2, 1, 2, 1, 2}).view()), 0);
  EXPECT_EQ(mean_variance(floats_of({}, {5}).view()), 0);
  EXPECT_EQ(mean_variance(Tensor(DType::f32, {0, 3}).view()), 0);
  EXPECT_EQ(mean_variance(Tensor(DType::f32, {3, 0}).view()), 0);
}

// Of one output channel.
double plain_noise(const std::vector<double>& channel) {
  double low = 0;
  double high = 0;
  for (const double v : channel) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
  const double step = (high - low) / 255;
  double sum = 0;
  for (const double v : channel) {
    // The nearest of the 256 values (code - zero) x step.
    double best = std::numeric_limits<double>::infinity();
    for (int code = 0; code < 256; ++code)
      best = std::min(best, std::abs((code - std::nearbyint(-low / step)) * step - v));
    sum += best * best;
  }
  return sum / static_cast<double>(channel.size());
}

TEST(Int8AsymmetricNoise, IsThatOfTheWorstChannel) {
  std::vector<float> weight = noise(2 * 20 * 6, 1);
  for (std::size_t i = 0; i < weight.size(); ++i) weight[i] += i % 3 == 0 ? 2.0F : 0.0F;  // not symmetric
  for (const WeightLayout& layout :
       {WeightLayout{2, 6, 20, DepthAxis::strided}, WeightLayout{2, 6, 20, DepthAxis::contiguous}}) {
    double worst = 0;
    for (std::int64_t m = 0; m < 2; ++m) {
      for (std::int64_t r = 0; r < 6; ++r) {
        std::vector<double> channel;
        for (std::int64_t k = 0; k < 20; ++k) channel.push_back(weight[layout.index(m, r, k)]);
        worst = std::max(worst, plain_noise(channel));
      }
    }
    EXPECT_NEAR(int8_asymmetric_noise(layout, weight), worst, worst * 1e-9);
  }
  EXPECT_EQ(int8_asymmetric_noise({1, 2, 2, DepthAxis::contiguous}, std::vector<float>{0, 0, 0, 255}), 0);
}

class BaselineScoreTest : public testing::Test {
 protected:
  BaselineScoreTest() : store_(folder_.path() / "m.sqlite", std::string(64, 'a'), "m") {
    settings_.samples = {"s1", "s2"};
  }
  void put(const MeasurementKey& key, double number) { store_.put(key, std::vector{number}); }
  [[nodiscard]] double score(Criterion criterion, const std::string& unit) {
    settings_.criterion = criterion;
    return baseline_score(settings_, store_, unit, "int4:32");
  }

  const test::TemporaryFolder folder_;
  MeasurementStore store_;
  RunSettings settings_;
};

TEST_F(BaselineScoreTest, FollowsTheCriterion) {
  put(settings_.keys().of("", "u", parse_format("int4:32"), "weight"), 0.125);
  put({"s1", "u", "", "input variance", ""}, 3);
  put({"s2", "u", "", "input variance", ""}, 5);
  put({"", "u", "", "int8 asymmetric noise", ""}, 0.5);
  EXPECT_EQ(score(Criterion::weight_mse, "u"), 0.125);
  EXPECT_NEAR(score(Criterion::nncf_mean_variance, "u"), 8, 1e-5);
  EXPECT_EQ(test::input_error([&] { (void)score(Criterion::weight_mse, "v"); }),
            "the measurement \"weight\" of unit v is missing");
  EXPECT_TRUE(test::contains(test::input_error([&] { (void)score(Criterion::nncf_mean_variance, "v"); }),
                             "\"input variance\" of unit v is missing"));
}

TEST_F(BaselineScoreTest, ChanceIsTheSameEveryTime) {
  double sum = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string unit = "unit" + std::to_string(i);
    const double chance = score(Criterion::random, unit);
    EXPECT_GE(chance, 0);
    EXPECT_LT(chance, 1);
    EXPECT_EQ(chance, score(Criterion::random, unit));
    sum += chance;
  }
  EXPECT_NEAR(sum / 1000, 0.5, 0.04);
}

}  // namespace
}  // namespace qvl
