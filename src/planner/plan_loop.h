// The plan, measured end to end and repaired where the sum of the units' errors was wrong.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "planner/plan_candidates.h"
#include "qvl/sensitivity.h"

namespace qvl {

// The limits of the knapsack, the one on the error being one on what is measured.
//
// With a limit on bytes or latency: the knapsack's solution is measured. Then each group that matters (those
// with the most error, together nine tenths of it, at most 48) is left unquantized in the company of the
// plan; by what that wins, the errors of the group in all formats are re-weighted (by the ratio to what was
// believed, within 1/16 and 16; the other groups by the ratio of all these together), in whole and in two
// weaker ways. The knapsacks with these errors are solved and measured, and the best of them, if it is better
// than what was there, is the plan that the next round starts from.
//
// Other plans that keep the limits are measured beside the first one, and the best is where the rounds begin:
// the result is never measured to be worse than any of them.
//
// With a limit on the error: the knapsack's limit is lowered until what is measured obeys, and raised while
// it does with room to spare; of the other plans, the smallest that is measured to obey counts; the rounds go
// on as above from the smallest plan that obeys, its errors brought to the scale of what was measured.
class PlanLoop {
 public:
  // The errors of the output with these choices, in their order. The first is the one the others differ from.
  using Measure =
      std::function<std::vector<OutputError>(std::span<const PlanChoices> plans, const std::string& stage)>;

  struct Result {
    PlanChoices choices;
    double gap = 0;  // of the knapsack whose solution this is
    std::optional<OutputError> measured;
    std::vector<PlanRound> rounds;
  };

  // `units`: how many each group has, to count what changes. `measure` empty: the errors are believed. All
  // must outlive it.
  PlanLoop(const std::vector<KnapsackGroup>& groups, const std::vector<int>& units,
           const KnapsackLimits& limits, Measure measure);

  // Throws InputError when nothing keeps the limits, naming by `describe` what comes nearest.
  using Describe = std::function<std::string(const KnapsackSolution& nearest)>;
  [[nodiscard]] Result run(int rounds, std::span<const PlanCandidate> others, const Describe& describe);

  // What a plan is judged by: kl, or mse where there is none.
  [[nodiscard]] static double error_of(const OutputError& error) { return error.kl.value_or(error.mse); }

 private:
  struct Plan {
    KnapsackSolution solution;
    double predicted = 0;  // by the errors that it was solved with
    std::optional<OutputError> measured;
  };
  using Weights = std::vector<double>;  // of each group's errors

  [[nodiscard]] Plan solve(const Weights& weights, const KnapsackLimits& limits) const;
  [[nodiscard]] Plan plan_of(const PlanChoices& choices) const;
  [[nodiscard]] Plan kept() const;
  [[nodiscard]] double believed(const Plan& plan, std::size_t group, const Weights& weights) const {
    return weights[group] * groups_[group][plan.solution.chosen[group]].error;
  }
  [[nodiscard]] std::optional<Plan> fit(const Weights& weights, const std::string& change);
  [[nodiscard]] std::optional<Plan> shrink(const Weights& weights, double limit, const std::string& change);
  [[nodiscard]] std::vector<std::size_t> those_that_matter() const;
  [[nodiscard]] Weights ratios(std::string& what);
  [[nodiscard]] bool repair();
  [[nodiscard]] bool obeys(const Plan& plan) const;
  [[nodiscard]] bool is_better(const Plan& a, const Plan& b) const;
  void consider(std::span<const PlanCandidate> others);
  void consider_smallest(std::vector<Plan>& plans, const std::vector<std::string>& changes);
  void measure(std::vector<Plan*> plans, const std::string& stage);
  void note(const Plan& plan, const std::string& change);

  const std::vector<KnapsackGroup>& groups_;
  const std::vector<int>& units_;
  KnapsackLimits limits_;
  Measure measure_;
  Plan best_;
  Weights weights_;  // that the best plan was solved with
  std::map<PlanChoices, OutputError> known_;
  std::vector<PlanRound> rounds_;
  std::set<PlanChoices> noted_;
  PlanChoices last_;  // of them
};

}  // namespace qvl
