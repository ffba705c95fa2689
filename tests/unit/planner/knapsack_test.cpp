#include "planner/knapsack.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <limits>
#include <random>

#include "qvl/error.h"

namespace qvl {
namespace {

using Groups = std::vector<KnapsackGroup>;

struct Sum {
  std::uint64_t bytes = 0;
  double latency = 0;
  double error = 0;
};

void for_each_combination(const Groups& groups, const std::function<void(const Sum&)>& visit) {
  std::vector<std::size_t> chosen(groups.size(), 0);
  for (;;) {
    Sum sum;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const KnapsackChoice& choice = groups[g][chosen[g]];
      sum.bytes += choice.bytes;
      sum.latency += choice.latency_ms;
      sum.error += choice.error;
    }
    visit(sum);
    std::size_t g = 0;
    while (g < groups.size() && ++chosen[g] == groups[g].size()) chosen[g++] = 0;
    if (g == groups.size()) return;
  }
}

bool keeps(const Sum& sum, const KnapsackLimits& limits) {
  return (!limits.bytes || sum.bytes <= *limits.bytes) &&
         (!limits.latency_ms || sum.latency <= *limits.latency_ms) &&
         (!limits.error || sum.error <= *limits.error);
}

// All numbers are multiples of 1/8, so that sums in any order are equal and ties are ties.
Groups small_problem(std::mt19937& random) {
  const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  Groups groups(1 + below(6));
  const unsigned bytes = below(2) == 0 ? 6 : 1000;  // few values: many equal costs
  const unsigned errors = below(2) == 0 ? 4 : 1000;
  for (KnapsackGroup& group : groups) {
    group.resize(1 + below(5));
    for (KnapsackChoice& choice : group) choice = {below(bytes), below(50) / 8.0, below(errors) / 8.0};
    if (below(3) == 0) group.front().error = 0;
    if (below(4) == 0) group.push_back(group.front());
  }
  return groups;
}

KnapsackLimits limits_for(const Groups& groups, std::mt19937& random, bool by_error, bool with_latency) {
  Sum most;
  for_each_combination(groups, [&](const Sum& sum) {
    most = {std::max(most.bytes, sum.bytes), std::max(most.latency, sum.latency),
            std::max(most.error, sum.error)};
  });
  const auto share = [&] { return static_cast<double>(random() % 101) / 100; };
  KnapsackLimits limits;
  if (by_error) {
    limits.error = std::floor(share() * most.error * 8) / 8;
  } else {
    limits.bytes = static_cast<std::uint64_t>(share() * static_cast<double>(most.bytes));
  }
  if (with_latency) limits.latency_ms = std::floor(share() * most.latency * 8) / 8;
  return limits;
}

void expect_as_brute_force(const Groups& groups, const KnapsackLimits& limits) {
  bool feasible = false;
  Sum best;
  double least_latency = std::numeric_limits<double>::infinity();
  for_each_combination(groups, [&](const Sum& sum) {
    least_latency = std::min(least_latency, sum.latency);
    if (!keeps(sum, limits)) return;
    const auto order = [&](const Sum& s) {
      const auto bytes = static_cast<double>(s.bytes);
      return limits.error ? std::pair(bytes, s.error) : std::pair(s.error, bytes);
    };
    if (!feasible || order(sum) < order(best)) best = sum;
    feasible = true;
  });
  const KnapsackSolution solution = solve_knapsack(groups, limits);
  ASSERT_EQ(solution.feasible, feasible);
  EXPECT_EQ(solution.gap, 0);
  Sum chosen;
  ASSERT_EQ(solution.chosen.size(), groups.size());
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const KnapsackChoice& choice = groups[g].at(solution.chosen[g]);
    chosen = {chosen.bytes + choice.bytes, chosen.latency + choice.latency_ms, chosen.error + choice.error};
  }
  EXPECT_EQ(chosen.bytes, solution.bytes);
  EXPECT_EQ(chosen.error, solution.error);
  EXPECT_EQ(chosen.latency, solution.latency_ms);
  if (feasible) {
    EXPECT_EQ(solution.error, best.error);
    EXPECT_EQ(solution.bytes, best.bytes);
    return;
  }
  // The nearest: the least latency, or within the limit on it the least of what is limited besides.
  if (limits.latency_ms && least_latency > *limits.latency_ms) {
    EXPECT_EQ(solution.latency_ms, least_latency);
    return;
  }
  double nearest = std::numeric_limits<double>::infinity();
  for_each_combination(groups, [&](const Sum& sum) {
    if (limits.latency_ms && sum.latency > *limits.latency_ms) return;
    nearest = std::min(nearest, limits.error ? sum.error : static_cast<double>(sum.bytes));
  });
  EXPECT_EQ(limits.error ? solution.error : static_cast<double>(solution.bytes), nearest);
}

TEST(Knapsack, EqualsBruteForceOnSmallProblems) {
  std::mt19937 random(6);
  int infeasible = 0;
  for (int i = 0; i < 200; ++i) {
    const Groups groups = small_problem(random);
    for (const bool by_error : {false, true}) {
      for (const bool with_latency : {false, true}) {
        const KnapsackLimits limits = limits_for(groups, random, by_error, with_latency);
        SCOPED_TRACE(testing::Message() << "problem " << i << (by_error ? ", error" : ", bytes")
                                        << (with_latency ? ", latency" : ""));
        expect_as_brute_force(groups, limits);
        infeasible += solve_knapsack(groups, limits).feasible ? 0 : 1;
      }
    }
  }
  EXPECT_GT(infeasible, 50);  // both outcomes were looked at
  EXPECT_LT(infeasible, 600);
}

TEST(Knapsack, OnlyLatencyIsALimitToo) {
  std::mt19937 random(7);
  for (int i = 0; i < 50; ++i) {
    const Groups groups = small_problem(random);
    KnapsackLimits limits = limits_for(groups, random, false, true);
    limits.bytes.reset();
    expect_as_brute_force(groups, limits);
  }
}

TEST(Knapsack, OfEqualErrorsTheFewestBytesAreTaken) {
  const Groups groups{{{100, 0, 0}, {10, 0, 0}, {20, 0, 0}}, {{7, 0, 1}, {5, 0, 1}}};
  const KnapsackSolution solution = solve_knapsack(groups, {.bytes = 1000, .latency_ms = {}, .error = {}});
  EXPECT_EQ(solution.chosen, (std::vector<std::size_t>{1, 1}));
}

TEST(Knapsack, OfChoicesAlikeTheFirstIsTaken) {
  const Groups groups{{{10, 0, 1}, {10, 0, 1}}, {{3, 0, 2}, {3, 0, 2}, {3, 0, 2}}};
  EXPECT_EQ(solve_knapsack(groups, {.bytes = 13, .latency_ms = {}, .error = {}}).chosen,
            (std::vector<std::size_t>{0, 0}));
  EXPECT_EQ(solve_knapsack(groups, {.bytes = {}, .latency_ms = {}, .error = 3}).chosen,
            (std::vector<std::size_t>{0, 0}));
}

TEST(Knapsack, ImpossibleNumbersAreRefused) {
  EXPECT_THROW((void)solve_knapsack({{}}, {}), UsageError);
  EXPECT_THROW((void)solve_knapsack({{{1, 0, -1}}}, {}), UsageError);
  EXPECT_THROW((void)solve_knapsack({{{1, 0, std::nan("")}}}, {}), UsageError);
  EXPECT_THROW((void)solve_knapsack({{{1, 0, 1}}}, {.bytes = 1, .latency_ms = {}, .error = 1}), UsageError);
}

// As a model of the 3B's size: errors over six decades, larger for fewer bits, bytes near 10^10.
Groups large_problem(unsigned seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  Groups groups(250);
  for (KnapsackGroup& group : groups) {
    const double parameters = std::floor(1e8 + 5e9 * uniform(random));
    const double sensitivity = std::pow(10.0, -6 * uniform(random));
    group.push_back({static_cast<std::uint64_t>(2 * parameters), parameters * 1e-6, 0});
    for (int c = 1; c < 8; ++c) {
      const double bits = 3 + c * 0.75 + uniform(random) * 0.5;
      group.push_back({static_cast<std::uint64_t>(parameters * bits / 8),
                       parameters * 1e-7 * (1 + 5 * uniform(random)),
                       sensitivity * std::pow(4.0, -bits) * (0.5 + uniform(random))});
    }
  }
  return groups;
}

std::uint64_t bytes_for_bits(const Groups& groups, double bits) {
  double bytes = 0;
  for (const KnapsackGroup& group : groups) bytes += static_cast<double>(group.front().bytes) / 16 * bits;
  return static_cast<std::uint64_t>(bytes);
}

TEST(Knapsack, SolvesManyGroupsOfLargeCosts) {
  for (const unsigned seed : {1U, 2U, 3U}) {
    const Groups groups = large_problem(seed);
    for (const double bits : {4.2, 5.0, 6.0, 8.0}) {
      const auto start = std::chrono::steady_clock::now();
      const std::uint64_t budget = bytes_for_bits(groups, bits);
      const KnapsackSolution solution =
          solve_knapsack(groups, {.bytes = budget, .latency_ms = {}, .error = {}});
      ASSERT_TRUE(solution.feasible);
      EXPECT_EQ(solution.gap, 0);
      EXPECT_LE(solution.bytes, budget);
      // The other way round: for this error no fewer bytes do.
      const KnapsackSolution back =
          solve_knapsack(groups, {.bytes = {}, .latency_ms = {}, .error = solution.error});
      EXPECT_EQ(back.gap, 0);
      EXPECT_EQ(back.bytes, solution.bytes);
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
      EXPECT_LT(took.count(), 20)
          << bits;  // some milliseconds; far off so that a busy machine does not fail it
      RecordProperty("ms", static_cast<int>(took.count() * 1000));
    }
  }
}

TEST(Knapsack, SaysHowFarAWaySolutionMayBeThatWasNotProven) {
  const Groups groups = large_problem(4);
  double latency = 0;
  for (const KnapsackGroup& group : groups) latency += group.front().latency_ms;
  const KnapsackLimits limits{.bytes = bytes_for_bits(groups, 5), .latency_ms = latency * 0.33, .error = {}};
  const KnapsackSolution few = solve_knapsack(groups, limits, 4);
  const KnapsackSolution many = solve_knapsack(groups, limits);
  ASSERT_TRUE(few.feasible && many.feasible);
  for (const KnapsackSolution& solution : {few, many}) {
    EXPECT_LE(solution.bytes, *limits.bytes);
    EXPECT_LE(solution.latency_ms, *limits.latency_ms);
  }
  EXPECT_GT(few.gap, 0);
  EXPECT_LE(many.error, few.error);
  EXPECT_GE(many.error, few.error - few.gap);
}

TEST(Knapsack, TheFrontOfASmallProblemIsAllOfIt) {
  std::mt19937 random(8);
  for (int i = 0; i < 50; ++i) {
    const Groups groups = small_problem(random);
    std::vector<std::pair<std::uint64_t, double>> all;
    for_each_combination(groups, [&](const Sum& sum) { all.emplace_back(sum.bytes, sum.error); });
    std::sort(all.begin(), all.end());
    std::vector<std::pair<std::uint64_t, double>> expected;
    for (const auto& point : all) {
      if (expected.empty() || point.second < expected.back().second) expected.push_back(point);
    }
    std::vector<std::pair<std::uint64_t, double>> found;
    for (const KnapsackPoint& point : knapsack_front(groups, 100'000))
      found.emplace_back(point.bytes, point.error);
    EXPECT_EQ(found, expected);
  }
}

TEST(Knapsack, TheFrontOfALargeProblemHasTheBestForItsBytes) {
  const Groups groups = large_problem(5);
  const std::vector<KnapsackPoint> front = knapsack_front(groups, 120);
  ASSERT_GE(front.size(), 100U);
  ASSERT_LE(front.size(), 120U);
  for (std::size_t i = 1; i < front.size(); ++i) {
    EXPECT_GT(front[i].bytes, front[i - 1].bytes);
    EXPECT_LT(front[i].error, front[i - 1].error);
  }
  for (std::size_t i = 0; i < front.size(); i += 17) {
    const KnapsackSolution best =
        solve_knapsack(groups, {.bytes = front[i].bytes, .latency_ms = {}, .error = {}});
    EXPECT_NEAR(front[i].error, best.error, 1e-12);
  }
  EXPECT_NEAR(front.back().error, 0, 1e-15);
}

}  // namespace
}  // namespace qvl
