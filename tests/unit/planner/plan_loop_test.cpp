#include "planner/plan_loop.h"

#include <gtest/gtest.h>

#include <cmath>

#include "qvl/error.h"

namespace qvl {
namespace {

// A model whose groups cost what `true_error` says, not what the knapsack believes.
class PlanLoopTest : public testing::Test {
 protected:
  // Choices: kept (16 bytes), 8 bytes, 4 bytes.
  void add_group(double error8, double error4, double true8, double true4) {
    groups_.push_back({{16, 3, 0}, {8, 2, error8}, {4, 1, error4}});
    true_.push_back({0, true8, true4});
    units_.push_back(2);
  }
  PlanLoop::Result run(const KnapsackLimits& limits, int rounds, bool measured = true,
                       const std::vector<PlanCandidate>& others = {}) {
    PlanLoop::Measure measure;
    if (measured) {
      measure = [this](std::span<const PlanChoices> plans, const std::string&) {
        std::vector<OutputError> errors;
        for (const PlanChoices& plan : plans) {
          errors.emplace_back();
          errors.back().kl = true_error(plan);
          ++measurements_;
        }
        return errors;
      };
    }
    return PlanLoop(groups_, units_, limits, measure)
        .run(rounds, others,
             [](const KnapsackSolution& nearest) { return "nearest " + std::to_string(nearest.bytes); });
  }
  [[nodiscard]] double true_error(const PlanChoices& plan) const {
    double error = 0;
    for (std::size_t g = 0; g < plan.size(); ++g) error += true_[g][plan[g]];
    // What errors of unlike formats may do to each other, which no sum of the units' knows.
    for (std::size_t g = 1; g < plan.size(); ++g) error += plan[g] == plan[0] ? 0 : unlike_;
    return error;
  }
  [[nodiscard]] std::uint64_t bytes_of(const PlanChoices& plan) const {
    std::uint64_t bytes = 0;
    for (std::size_t g = 0; g < plan.size(); ++g) bytes += groups_[g][plan[g]].bytes;
    return bytes;
  }

  std::vector<KnapsackGroup> groups_;
  std::vector<std::vector<double>> true_;
  std::vector<int> units_;
  double unlike_ = 0;
  int measurements_ = 0;
};

TEST_F(PlanLoopTest, AGroupThatCostsMoreInThePlanThanAloneIsSpared) {
  // Believed alike; in company the second costs ten times as much.
  add_group(0.01, 0.10, 0.01, 0.10);
  add_group(0.01, 0.09, 0.10, 0.90);
  add_group(0.01, 0.11, 0.01, 0.11);
  const KnapsackLimits limits{.bytes = 4 + 8 + 8, .latency_ms = {}, .error = {}};
  const PlanLoop::Result first = run(limits, 0);
  EXPECT_EQ(first.choices, (PlanChoices{1, 2, 1}));
  ASSERT_EQ(first.rounds.size(), 1U);
  EXPECT_NEAR(first.rounds.front().predicted, 0.11, 1e-12);
  EXPECT_NEAR(first.rounds.front().measured.value(), 0.92, 1e-12);

  const PlanLoop::Result repaired = run(limits, 3);
  EXPECT_EQ(repaired.choices[1], 1U);
  EXPECT_NEAR(repaired.measured->kl.value(), 0.21, 1e-12);
  EXPECT_LE(bytes_of(repaired.choices), 20U);
  ASSERT_GT(repaired.rounds.size(), 1U);
  EXPECT_EQ(repaired.rounds[1].changed, 4);  // two groups of two units
}

TEST_F(PlanLoopTest, WhatIsWorseWhenMeasuredIsNotTaken) {
  add_group(0.01, 0.10, 0.01, 0.10);
  add_group(0.01, 0.20, 0.01, 0.20);
  const KnapsackLimits limits{.bytes = 12, .latency_ms = {}, .error = {}};
  const PlanLoop::Result result = run(limits, 3);
  EXPECT_EQ(result.choices, (PlanChoices{2, 1}));
  EXPECT_EQ(result.measured->kl, 0.11);
}

TEST_F(PlanLoopTest, TheMeasuredErrorObeysItsBudget) {
  for (int g = 0; g < 12; ++g) add_group(0.001 * (g + 1), 0.01 * (g + 1), 0.004 * (g + 1), 0.04 * (g + 1));
  for (const double budget : {2.0, 0.3, 0.05, 0.003, 0.0}) {
    const PlanLoop::Result result = run({.bytes = {}, .latency_ms = {}, .error = budget}, 2);
    EXPECT_LE(result.measured->kl.value(), budget);
    EXPECT_NEAR(result.measured->kl.value(), true_error(result.choices), 1e-15);
  }
  // Four times what is believed: the first limit is not kept, and much smaller than all kept is found.
  EXPECT_LT(bytes_of(run({.bytes = {}, .latency_ms = {}, .error = 0.3}, 2).choices), 12U * 12);
}

TEST_F(PlanLoopTest, WhereNothingQuantizedObeysAllIsKept) {
  add_group(0, 0, 0.5, 0.5);  // believed to cost nothing
  const PlanLoop::Result result = run({.bytes = {}, .latency_ms = {}, .error = 0.1}, 1);
  EXPECT_EQ(result.choices, PlanChoices{0});
}

// The sum of the errors makes a mix of formats look better than 8 bits everywhere; measured it is not.
TEST_F(PlanLoopTest, AUniformPlanThatIsMeasuredBetterIsTaken) {
  for (int g = 0; g < 4; ++g) add_group(0.02, 0.021 + 0.3 * (g % 2), 0.02, 0.021 + 0.3 * (g % 2));
  unlike_ = 0.5;
  const std::vector<PlanCandidate> uniform{{PlanChoices(4, 1), "all in 8"}, {PlanChoices(4, 2), "all in 4"}};
  const KnapsackLimits limits{.bytes = 40, .latency_ms = {}, .error = {}};  // 8 bits everywhere take 32
  const PlanLoop::Result alone = run(limits, 3);
  EXPECT_GT(alone.measured->kl.value(), 0.5);
  const PlanLoop::Result best = run(limits, 3, true, uniform);
  EXPECT_EQ(best.choices, PlanChoices(4, 1));
  EXPECT_NEAR(best.measured->kl.value(), 0.08, 1e-12);
  EXPECT_EQ(best.rounds[1].change, "all in 8");
  EXPECT_EQ(best.rounds[2].change, "all in 4");  // fits, too, and was measured
  // Where it does not fit, it is not even measured.
  const PlanLoop::Result less = run({.bytes = 31, .latency_ms = {}, .error = {}}, 0, true, uniform);
  for (const PlanRound& round : less.rounds) EXPECT_NE(round.change, "all in 8");
  // Nor where it takes longer: 8 bits everywhere take 8 ms.
  const PlanLoop::Result slow = run({.bytes = 40, .latency_ms = 7, .error = {}}, 0, true, uniform);
  for (const PlanRound& round : slow.rounds) EXPECT_NE(round.change, "all in 8");
}

TEST_F(PlanLoopTest, OfUniformPlansTheSmallestThatObeysCounts) {
  for (int g = 0; g < 4; ++g) add_group(0.02, 0.06, 0.02, 0.06);
  unlike_ = 1;
  const std::vector<PlanCandidate> uniform{{PlanChoices(4, 1), "all in 8"}, {PlanChoices(4, 2), "all in 4"}};
  const auto choices = [&](double error) {
    return run({.bytes = {}, .latency_ms = {}, .error = error}, 1, true, uniform).choices;
  };
  EXPECT_EQ(choices(0.25), PlanChoices(4, 2));
  // Mixes of both are believed to keep this, and do not.
  EXPECT_EQ(choices(0.2), PlanChoices(4, 1));
  EXPECT_EQ(choices(0.01), PlanChoices(4, 0));
}

TEST_F(PlanLoopTest, WithoutMeasuringTheSumIsBelieved) {
  add_group(0.01, 0.1, 1, 1);
  const PlanLoop::Result result = run({.bytes = 8, .latency_ms = {}, .error = {}}, 3, false);
  EXPECT_EQ(result.choices, PlanChoices{1});
  EXPECT_FALSE(result.measured);
  EXPECT_EQ(measurements_, 0);
}

TEST_F(PlanLoopTest, ABudgetThatNothingMeetsIsRefusedWithTheNearest) {
  add_group(0.01, 0.1, 0.01, 0.1);
  try {
    (void)run({.bytes = 3, .latency_ms = {}, .error = {}}, 1);
    FAIL() << "a plan of 3 bytes was made";
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(), "nearest 4");
  }
}

}  // namespace
}  // namespace qvl
