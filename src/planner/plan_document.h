// plan.json of a plan that was made.
#pragma once

#include <string>

#include "planner/plan_problem.h"
#include "qvl/plan.h"
#include "replay/program.h"

namespace qvl {

// Every unit by its own name, in the report's order; how the plan came about in "record" (docs/plan.md).
[[nodiscard]] std::string plan_document(const PlanProblem& problem, const PlanChoices& choices,
                                        const SensitivityReport& report, const PlanResult& result,
                                        const PlanOptions& options, const std::string& calibrate);

}  // namespace qvl
