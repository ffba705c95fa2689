// What a plan must keep, in the units that are added up.
#pragma once

#include <string>

#include "planner/knapsack.h"
#include "planner/plan_problem.h"
#include "qvl/plan.h"

namespace qvl {

// Throws UsageError unless exactly one of bytes, bits and kl is given, and for numbers that mean nothing.
void check_budget(const PlanBudget& budget);
// "bits=5", "bytes=900000 latency=3.5"
[[nodiscard]] std::string budget_name(const PlanBudget& budget);
[[nodiscard]] KnapsackLimits limits_of(const PlanBudget& budget, const PlanProblem& problem);
// Why no plan keeps the budget, and the nearest that can be kept.
[[nodiscard]] std::string describe_infeasible(const PlanBudget& budget, const PlanProblem& problem,
                                              const KnapsackSolution& nearest);

}  // namespace qvl
