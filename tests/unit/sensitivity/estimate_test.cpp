// The fast method on made-up measurements.
#include "sensitivity/estimate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "qvl/error.h"
#include "sensitivity/metrics.h"
#include "support/test_data.h"

namespace qvl {
namespace {

TEST(Spearman, KnownValues) {
  EXPECT_DOUBLE_EQ(spearman({1, 2, 3, 4}, {10, 20, 30, 40}), 1);
  EXPECT_DOUBLE_EQ(spearman({1, 2, 3, 4}, {4, 3, 2, 1}), -1);
  EXPECT_DOUBLE_EQ(spearman({1, 2, 3, 4}, {1, 8, 27, 1e9}), 1);
  // 1 - 6 x 194 / (10 x 99), 194 being the sum of squared differences of ranks.
  EXPECT_NEAR(
      spearman({86, 97, 99, 100, 101, 103, 106, 110, 112, 113}, {0, 20, 28, 27, 50, 29, 7, 17, 6, 12}),
      -0.1757575757575758, 1e-12);
}

TEST(Spearman, TiesShareTheirRank) {
  // Ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4: 4.5 / sqrt(4.5 x 5).
  EXPECT_NEAR(spearman({1, 2, 2, 3}, {1, 3, 2, 4}), 0.9486832980505138, 1e-12);
  EXPECT_DOUBLE_EQ(spearman({1, 1, 2, 2}, {5, 5, 7, 7}), 1);
  EXPECT_EQ(spearman({1, 1, 1}, {1, 2, 3}), 0);
  EXPECT_EQ(spearman({1, 2, 3}, {7, 7, 7}), 0);
  EXPECT_EQ(spearman({}, {}), 0);
}

// A model of parts with so many units each, one unit a segment.
struct Plan {
  SensitivityReport skeleton;
  RunSettings settings;

  Plan(const std::vector<std::pair<std::string, std::int64_t>>& parts, std::size_t samples,
       std::vector<std::string> formats) {
    for (const auto& [part, units] : parts) {
      settings.parts.push_back({part, units});
      for (std::int64_t block = 0; block < units; ++block) {
        UnitResult unit;
        unit.name = part + std::to_string(block);
        unit.part = part;
        unit.block = block;
        skeleton.units.push_back(unit);
      }
    }
    for (std::size_t i = 0; i < samples; ++i) settings.samples.push_back("sample" + std::to_string(i));
    settings.formats = std::move(formats);
  }
};

class EstimateTest : public testing::Test {
 protected:
  EstimateTest() : store_(folder_.path() / "m.sqlite", std::string(64, 'a'), "m") {}

  // The squared error at the end of the unit's block.
  void block(const Plan& plan, std::size_t unit, const std::string& format, std::size_t sample,
             double error) {
    const LocalSums sums{error, 100, 100, 100, 0, 0, 0, 0};
    store_.put(plan.settings.keys().of(plan.settings.samples[sample], plan.skeleton.units[unit].name,
                                       parse_format(format), "block"),
               sums.numbers());
  }
  void output(const Plan& plan, std::size_t unit, const std::string& format, std::size_t sample, double mse,
              std::optional<double> kl) {
    store_.put(plan.settings.keys().of(plan.settings.samples[sample], plan.skeleton.units[unit].name,
                                       parse_format(format), "in"),
               sums(mse, kl));
  }
  void whole(const Plan& plan, const std::string& format, std::size_t sample, double mse,
             std::optional<double> kl) {
    store_.put(plan.settings.keys().of_whole(plan.settings.samples[sample], parse_format(format)),
               sums(mse, kl));
  }
  static std::vector<double> sums(double mse, std::optional<double> kl) {
    OutputSums sums{mse * 10, 10, -1, {}, {}};
    if (kl) {
      sums.kl = {*kl};
      sums.same = {1};
    }
    return sums.numbers();
  }

  const test::TemporaryFolder folder_;
  MeasurementStore store_;
};

TEST_F(EstimateTest, CarriersAreTheFewestSamplesWithMostOfTheError) {
  const Plan plan({{"m", 2}}, 4, {"int8"});
  const std::vector<double> kl{1, 60, 4, 35};  // 95 of 100 with the second and the fourth
  for (std::size_t s = 0; s < 4; ++s) whole(plan, "int8", s, 0.5, kl[s]);
  const ReplayPlan replays = plan_replays(plan.skeleton, plan.settings, store_);
  ASSERT_TRUE(replays.direct);
  EXPECT_EQ(replays.carriers, (std::vector<std::vector<std::size_t>>{{1, 3}}));
  EXPECT_TRUE(replays.wants(0, 0, "int8", 3, false));
  EXPECT_TRUE(replays.wants(1, 0, "int8", 1, true));
  EXPECT_FALSE(replays.wants(0, 0, "int8", 0, false));
}

TEST_F(EstimateTest, WithoutLogitsTheSquaredErrorTellsTheCarriers) {
  const Plan plan({{"m", 2}}, 3, {"int8"});
  for (std::size_t s = 0; s < 3; ++s) whole(plan, "int8", s, s == 2 ? 9.0 : 0.5, std::nullopt);
  EXPECT_EQ(plan_replays(plan.skeleton, plan.settings, store_).carriers.front(),
            (std::vector<std::size_t>{2}));
}

TEST_F(EstimateTest, WhatTheWholeModelGaveIsNeeded) {
  const Plan plan({{"m", 2}}, 2, {"int8"});
  whole(plan, "int8", 0, 1, 1);
  EXPECT_THROW((void)plan_replays(plan.skeleton, plan.settings, store_), InputError);
}

TEST_F(EstimateTest, DirectEstimatesScaleTheCarriersUp) {
  Plan plan({{"m", 2}}, 4, {"int8"});
  plan.settings.direction_out = false;
  const std::vector<double> kl{5, 60, 5, 30};
  for (std::size_t s = 0; s < 4; ++s) whole(plan, "int8", s, 0.25 * (1 + static_cast<double>(s)), kl[s]);
  for (const std::size_t s : {1U, 3U}) output(plan, 1, "int8", s, 0.125, s == 1 ? 0.5 : 0.4);
  const auto estimates = estimate_units(plan.skeleton, plan.settings, store_);
  EXPECT_FALSE(estimates[0][0].in);  // not measured
  // The carriers have 90 of 100 of the KL and 1.5 of 2.5 of the squared error.
  EXPECT_NEAR(*estimates[1][0].in->kl, 0.9 * (100.0 / 90) / 4, 1e-15);
  EXPECT_NEAR(estimates[1][0].in->mse, 0.25 * (2.5 / 1.5) / 4, 1e-15);
  EXPECT_FALSE(estimates[1][0].out);
}

// 100 units on one sample in one format: replays of all cost 100 runs of half the segments each, blocks take
// 1 x (100 + 100) runs. Three times as many pay for 12 replays, so that the plan is one of gains, with 4.
TEST_F(EstimateTest, LargeModelsLearnGainsFromUnitsSpreadEvenly) {
  const Plan plan({{"m", 100}}, 1, {"int8"});
  whole(plan, "int8", 0, 1, 1);
  const ReplayPlan replays = plan_replays(plan.skeleton, plan.settings, store_);
  EXPECT_FALSE(replays.direct);
  EXPECT_EQ(replays.gain_units, (std::vector<std::size_t>{12, 37, 62, 87}));
  EXPECT_TRUE(replays.wants(37, 0, "int8", 0, false));
  EXPECT_FALSE(replays.wants(37, 0, "int8", 0, true));
  EXPECT_FALSE(replays.wants(38, 0, "int8", 0, false));
}

TEST_F(EstimateTest, GainsAreLearnedInTheCoarsestFormat) {
  const auto format = [&](const std::vector<std::string>& formats) {
    const Plan plan({{"m", 100}}, 1, formats);
    for (const std::string& f : formats) whole(plan, f, 0, 1, 1);
    return plan_replays(plan.skeleton, plan.settings, store_).gain_format;
  };
  EXPECT_EQ(format({"int8", "int4:32"}), "int4:32");
  EXPECT_EQ(format({"int4:16", "int4:128", "int4:64"}), "int4:128");
  EXPECT_EQ(format({"int8:64", "int8"}), "int8");             // an output channel is the largest block
  EXPECT_EQ(format({"int8-dynamic", "int8:16"}), "int8:16");  // activations are kept before that
  EXPECT_EQ(format({"int8-static"}), "int8-static");
}

TEST_F(EstimateTest, GainsBetweenReplaysAreInterpolated) {
  const Plan plan({{"a", 50}, {"b", 50}}, 1, {"int8"});
  whole(plan, "int8", 0, 1000, 10);
  const std::vector<std::size_t> replayed{12, 37, 62, 87};
  ASSERT_EQ(plan_replays(plan.skeleton, plan.settings, store_).gain_units, replayed);
  const std::vector<double> gains{1, std::exp2(25), 1000, 4};
  for (std::size_t i = 0; i < 4; ++i)
    output(plan, replayed[i], "int8", 0, 2 * gains[i], i == 3 ? std::nullopt : std::optional(gains[i]));
  for (std::size_t unit = 0; unit < 100; ++unit) {
    if (unit != 55) block(plan, unit, "int8", 0, 2);
  }
  const auto estimates = estimate_units(plan.skeleton, plan.settings, store_);
  const auto mse = [&](std::size_t unit) { return estimates[unit][0].in->mse / 2; };
  EXPECT_DOUBLE_EQ(mse(12), 1);
  for (std::size_t unit = 12; unit <= 37; ++unit)  // geometrically
    EXPECT_NEAR(mse(unit) / std::exp2(static_cast<double>(unit) - 12), 1, 1e-9) << unit;
  // Beyond the outermost ones of a part, theirs; never those of another part.
  EXPECT_DOUBLE_EQ(mse(0), 1);
  EXPECT_DOUBLE_EQ(mse(49), std::exp2(25));
  EXPECT_DOUBLE_EQ(mse(50), 1000);
  EXPECT_DOUBLE_EQ(mse(99), 4);
  EXPECT_NEAR(*estimates[14][0].in->kl, 4, 1e-9);  // 2^2 x 2 / 2
  EXPECT_FALSE(estimates[70][0].in->kl);           // one side has none
  EXPECT_FALSE(estimates[55][0].in);               // a gain, but no error
  // Without one unit, the whole error less its share.
  double total = 0;
  for (const auto& unit : estimates) total += unit[0].in ? unit[0].in->mse : 0;
  EXPECT_DOUBLE_EQ(estimates[50][0].out->mse, 1000 * (1 - 2000 / total));
}

}  // namespace
}  // namespace qvl
