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
  PlanLoop::Result run(const KnapsackLimits& limits, int rounds, bool measured = true) {
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
    return PlanLoop(groups_, units_, limits, measure).run(rounds, [](const KnapsackSolution& nearest) {
      return "nearest " + std::to_string(nearest.bytes);
    });
  }
  [[nodiscard]] double true_error(const PlanChoices& plan) const {
    double error = 0;
    for (std::size_t g = 0; g < plan.size(); ++g) error += true_[g][plan[g]];
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
