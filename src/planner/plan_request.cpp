#include "planner/plan_request.h"

#include <fmt/format.h>

#include <cmath>

#include "qvl/error.h"

namespace qvl {

void check_budget(const PlanBudget& budget) {
  const int given = (budget.bytes ? 1 : 0) + (budget.bits ? 1 : 0) + (budget.kl ? 1 : 0);
  if (given != 1) {
    throw UsageError(
        fmt::format("{} of the budgets bytes, bits and kl {}; exactly one is expected, and "
                    "latency besides if wanted",
                    given == 0 ? "none" : std::to_string(given), given > 1 ? "are given" : "is given"));
  }
  const auto check = [](const std::optional<double>& number, const char* name, bool may_be_zero) {
    if (!number) return;
    if (!std::isfinite(*number) || *number < 0 || (*number == 0 && !may_be_zero))
      throw UsageError(fmt::format("a budget of {}={}; a number above 0 is expected", name, *number));
  };
  check(budget.bits, "bits", false);
  check(budget.kl, "kl", true);
  check(budget.latency_ms, "latency", false);
  if (budget.bytes && *budget.bytes == 0)
    throw UsageError("a budget of bytes=0; a number above 0 is expected");
}

std::string budget_name(const PlanBudget& budget) {
  std::string name;
  if (budget.bytes) name = fmt::format("bytes={}", *budget.bytes);
  if (budget.bits) name = fmt::format("bits={}", *budget.bits);
  if (budget.kl) name = fmt::format("kl={}", *budget.kl);
  if (budget.latency_ms) name += fmt::format(" latency={}", *budget.latency_ms);
  return name;
}

KnapsackLimits limits_of(const PlanBudget& budget, const PlanProblem& problem) {
  KnapsackLimits limits;
  limits.bytes = budget.bytes;
  if (budget.bits) {
    // A weight of 1 TiB at 32 bits is far below 2^58, which is more than any sum.
    const double bytes =
        std::min(std::ldexp(1.0, 58), *budget.bits * static_cast<double>(problem.parameters()) / 8);
    limits.bytes = static_cast<std::uint64_t>(bytes);
  }
  limits.error = budget.kl;
  limits.latency_ms = budget.latency_ms;
  return limits;
}

std::string describe_infeasible(const PlanBudget& budget, const PlanProblem& problem,
                                const KnapsackSolution& nearest) {
  const std::string asked = "no plan keeps the budget " + budget_name(budget) + "; ";
  if (budget.latency_ms && nearest.latency_ms > *budget.latency_ms)
    return asked + fmt::format("the least latency that can be had is {:.4g} ms", nearest.latency_ms);
  const std::string within = budget.latency_ms ? fmt::format(" within {} ms", *budget.latency_ms) : "";
  if (budget.kl)
    return asked + fmt::format("the least error that can be had{} is {:.4g}", within, nearest.error);
  return asked + fmt::format("the least that can be had{} is bytes={} (bits={:.4f})", within, nearest.bytes,
                             std::ceil(problem.bits(nearest.bytes) * 1e4) / 1e4);
}

}  // namespace qvl
