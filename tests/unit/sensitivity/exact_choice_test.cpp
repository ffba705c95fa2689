// What is measured next, on made-up numbers.
#include "sensitivity/exact_choice.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sensitivity/metrics.h"
#include "support/test_data.h"

namespace qvl {
namespace {

// Units of one format and direction with an estimate and an exact squared error each.
class ChoiceTest : public testing::Test {
 protected:
  ChoiceTest() : store_(folder_.path() / "m.sqlite", std::string(64, 'a'), "m") {
    settings_.parts.push_back({"m", 40});
    settings_.samples = {"sample"};
    settings_.formats = {"int8"};
    settings_.criterion = Criterion::mse;
    settings_.method = Method::automatic;
  }

  void add(double estimate, double exact) {
    UnitResult unit;
    unit.name = "unit" + std::to_string(skeleton_.units.size());
    skeleton_.units.push_back(unit);
    estimates_.push_back({UnitEstimate{Estimate{estimate, std::nullopt}, std::nullopt}});
    exact_.push_back(exact);
  }

  [[nodiscard]] ExactChoice choice() const { return choose_exact(settings_, skeleton_, estimates_, store_); }

  [[nodiscard]] static std::vector<std::size_t> rows(const CandidateSet& set) {
    std::vector<std::size_t> rows;
    for (std::size_t i = 0; i < set.size(); ++i) {
      if (set[i][0]) rows.push_back(i);
    }
    return rows;
  }

  void measure(std::size_t unit) {
    OutputSums sums{exact_[unit] * 10, 10, -1, {}, {}};
    store_.put(settings_.keys().of("sample", skeleton_.units[unit].name, parse_format("int8"), "in"),
               sums.numbers());
  }

  // Measures what is asked for until nothing is; the number of rounds.
  int settle() {
    for (int rounds = 0;; ++rounds) {
      const ExactChoice now = choice();
      if (now.all_settled()) return rounds;
      for (const std::size_t unit : rows(now.wanted)) measure(unit);
    }
  }

  [[nodiscard]] std::vector<std::size_t> right_top() const {
    std::vector<std::size_t> units(exact_.size());
    for (std::size_t i = 0; i < units.size(); ++i) units[i] = i;
    std::ranges::stable_sort(units, std::greater<>(), [&](std::size_t i) { return exact_[i]; });
    units.resize(ranking_top(units.size()));
    std::ranges::sort(units);
    return units;
  }

  [[nodiscard]] bool holds(const CandidateSet& set, const std::vector<std::size_t>& units) const {
    return std::ranges::all_of(units, [&](std::size_t unit) { return set[unit][0]; });
  }

  const test::TemporaryFolder folder_;
  MeasurementStore store_;
  RunSettings settings_;
  SensitivityReport skeleton_;
  std::vector<std::vector<UnitEstimate>> estimates_;
  std::vector<double> exact_;
};

TEST_F(ChoiceTest, ExactWantsAll) {
  for (int i = 0; i < 12; ++i) add(1, 1);
  settings_.method = Method::exact;
  EXPECT_EQ(rows(choice().wanted).size(), 12U);
  EXPECT_TRUE(choice().all_settled());
  EXPECT_TRUE(check_units(settings_, skeleton_).empty());
}

// 40 units of which the estimate is right: each is half of the one before, so that the quarter is 0 .. 9, and
// unit 10 has half of the least.
TEST_F(ChoiceTest, AGoodEstimateIsSettledInOneRound) {
  for (int i = 0; i < 40; ++i) add(std::exp2(-i), 3 * std::exp2(-i));
  std::vector<std::size_t> expected = check_units(settings_, skeleton_);
  EXPECT_EQ(expected.size(), 8U);
  for (std::size_t i = 0; i <= 10; ++i) {
    if (!std::ranges::binary_search(expected, i)) expected.push_back(i);
    std::ranges::sort(expected);
  }
  EXPECT_EQ(rows(choice().wanted), expected);
  EXPECT_FALSE(choice().all_settled());
  EXPECT_EQ(settle(), 1);
  EXPECT_EQ(rows(choice().complete), expected);
}

// Estimates that have nothing to do with the numbers: unit i has the rank 17 i mod 40.
TEST_F(ChoiceTest, APoorEstimateIsMeasuredUntilTheHeadIsFound) {
  for (int i = 0; i < 40; ++i) add(std::exp2(-i / 4.0), std::exp2(-(17 * i % 40) / 4.0));
  EXPECT_GT(settle(), 1);
  const ExactChoice settled = choice();
  EXPECT_TRUE(holds(settled.complete, right_top()));
  const auto trust = estimate_trust(settings_, skeleton_, estimates_, settled, store_);
  ASSERT_EQ(trust.size(), 1U);
  EXPECT_TRUE(trust[0].settled);
  EXPECT_EQ(trust[0].checked, 8);
  EXPECT_EQ(trust[0].top, 5);
  // The five largest are 17 i mod 40 < 5: 0, 33, 26, 19, 12; the estimate's are 0 .. 4.
  EXPECT_EQ(right_top(), (std::vector<std::size_t>{0, 12, 19, 26, 33}));
  EXPECT_EQ(trust[0].top_found, 1);
  EXPECT_EQ(trust[0].measured, static_cast<std::int64_t>(rows(settled.complete).size()));
}

// An estimate that is large enough to be in the head is not believed, however the others fared.
TEST_F(ChoiceTest, WhatWouldRankHighUnmeasuredIsMeasured) {
  for (int i = 0; i < 40; ++i) add(i < 14 ? 1 : 0.45, i < 14 ? 0.01 : 0.001);
  EXPECT_GT(settle(), 0);
  EXPECT_EQ(rows(choice().complete).size(), 40U);  // 0.45 is above the fifth of the measured ones, 0.01
}

TEST_F(ChoiceTest, WhatIsNotKnownIsMeasured) {
  for (int i = 0; i < 40; ++i) add(std::exp2(-i), std::exp2(-i));
  estimates_[30][0].in.reset();
  EXPECT_TRUE(choice().wanted[30][0]);
}

// The same numbers in the store give the same choice; more of them change nothing.
TEST_F(ChoiceTest, DependsOnNothingElseInTheStore) {
  for (int i = 0; i < 40; ++i) add(std::exp2(-i), 3 * std::exp2(-i));
  settle();
  const auto settled = rows(choice().complete);
  for (std::size_t i = 0; i < 40; ++i) measure(i);
  EXPECT_EQ(rows(choice().complete), settled);
  EXPECT_TRUE(choice().all_settled());
}

// All but one quantized: the smaller the error, the more sensitive.
TEST_F(ChoiceTest, OutIsTheOtherWayRound) {
  for (int i = 0; i < 40; ++i) add(1, 1);
  settings_.direction_in = false;
  settings_.direction_out = true;
  for (std::size_t i = 0; i < 40; ++i)
    estimates_[i][0] = {std::nullopt, Estimate{std::exp2(static_cast<double>(i)), std::nullopt}};
  const auto wanted = choice().wanted;
  for (std::size_t i = 0; i <= 10; ++i) EXPECT_TRUE(wanted[i][0]) << i;
  EXPECT_LT(rows(wanted).size(), 20U);
}

// Fast: no more than a quarter of the units, and than what the blocks cost: 40 units in 40 segments with one
// format cost 80 runs of segments, 20 of which a unit's way to the output takes on average.
TEST_F(ChoiceTest, FastIsCheckedWithWhatItCanPay) {
  for (int i = 0; i < 40; ++i) add(std::exp2(-i), std::exp2(-i));
  settings_.method = Method::fast;
  EXPECT_EQ(check_units(settings_, skeleton_).size(), 4U);
  EXPECT_EQ(rows(choice().wanted).size(), 4U);
  settings_.parts[0].segments = 8;
  EXPECT_EQ(check_units(settings_, skeleton_).size(), 8U);
  settings_.parts[0].segments = 60;
  EXPECT_TRUE(check_units(settings_, skeleton_).empty());
}

TEST(SpearmanError, IsTheIntervalOfFishersTransform) {
  // atanh(0.5) = 0.5493, deviation sqrt(1.125 / 5) = 0.4743: tanh(1.0236) = 0.7715, tanh(0.0750) = 0.0748.
  EXPECT_NEAR(spearman_error(0.5, 8), (0.7715 - 0.0748) / 2, 2e-4);
  EXPECT_NEAR(spearman_error(-0.5, 8), spearman_error(0.5, 8), 1e-12);
  EXPECT_GT(spearman_error(1, 8), 0.1);  // eight pairs prove no perfect order
  EXPECT_LT(spearman_error(0.95, 400), 0.01);
  EXPECT_EQ(spearman_error(0.5, 3), 1);
}

}  // namespace
}  // namespace qvl
