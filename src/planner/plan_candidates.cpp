#include "planner/plan_candidates.h"

#include <algorithm>

namespace qvl {

std::vector<PlanCandidate> uniform_plans(const PlanProblem& problem, const std::vector<Format>& formats) {
  std::vector<PlanCandidate> plans;
  const std::vector<KnapsackGroup>& groups = problem.knapsack();
  for (std::size_t c = 1; c <= formats.size(); ++c) {
    PlanCandidate all{PlanChoices(groups.size(), c), "all units in " + to_string(formats[c - 1])};
    PlanCandidate some = all;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      if (groups[g][c].bytes >= groups[g].front().bytes) some.choices[g] = 0;
    }
    some.change += ", but those that it makes no smaller";
    const bool same = some.choices == all.choices;
    plans.push_back(std::move(all));
    if (!same) plans.push_back(std::move(some));
  }
  return plans;
}

std::vector<PlanCandidate> plan_by_weights(const PlanProblem& problem, const std::vector<Format>& formats,
                                           const SensitivityReport& report, const KnapsackLimits& limits) {
  if (limits.error) return {};
  std::vector<KnapsackGroup> groups = problem.knapsack();
  for (std::size_t g = 0; g < groups.size(); ++g) {
    for (std::size_t c = 1; c <= formats.size(); ++c) {
      const std::string name = to_string(formats[c - 1]);
      double error = 0;
      for (const PlanUnit& unit : problem.groups()[g]) {
        const UnitResult& row = report.units[unit.row];
        const auto found = std::ranges::find(row.formats, name, &FormatResult::format);
        if (found == row.formats.end()) return {};
        error += found->weight_mse * static_cast<double>(row.parameters);
      }
      groups[g][c].error = formats[c - 1].activations == ActivationRounding::kept ? error : 2 * error;
    }
  }
  const KnapsackSolution solution = solve_knapsack(groups, limits);
  if (!solution.feasible) return {};
  return {{solution.chosen, "plan by the errors of the weights"}};
}

}  // namespace qvl
