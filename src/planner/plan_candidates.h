// Plans that are measured beside the knapsack's: a plan must not be worse than what is there without one.
#pragma once

#include <string>
#include <vector>

#include "planner/plan_problem.h"
#include "qvl/sensitivity.h"

namespace qvl {

struct PlanCandidate {
  PlanChoices choices;
  std::string change;  // as in PlanRound
};

// Of each format: all units in it, and all but those groups whose bytes it does not make fewer (a tied
// lm_head).
[[nodiscard]] std::vector<PlanCandidate> uniform_plans(const PlanProblem& problem,
                                                       const std::vector<Format>& formats);

// What the squared error of the weights alone would choose, formats that round activations counted twice: no
// measurement of the model is in it. Only for limits without an error; none where nothing keeps them.
[[nodiscard]] std::vector<PlanCandidate> plan_by_weights(const PlanProblem& problem,
                                                         const std::vector<Format>& formats,
                                                         const SensitivityReport& report,
                                                         const KnapsackLimits& limits);

}  // namespace qvl
