#include "planner/plan_document.h"

#include <nlohmann/json.hpp>

#include "planner/plan_request.h"
#include "planner/unit_errors.h"
#include "quant/quant_plan.h"
#include "sensitivity/run_settings.h"

namespace qvl {
namespace {

using OrderedJson = nlohmann::ordered_json;

OrderedJson number_or_null(const std::optional<double>& number) {
  return number ? OrderedJson(*number) : OrderedJson();
}

std::string record_of(const SensitivityReport& report, const PlanResult& result, const PlanOptions& options) {
  OrderedJson record;
  record["budget"] = budget_name(options.budget);
  record["error"] = error_name(report);
  record["data"] = report.data;
  record["data_sha256"] = report.data_sha256;
  record["bytes"] = result.bytes;
  record["bits"] = result.bits;
  record["unquantized_bytes"] = result.front.unquantized_bytes;
  if (result.latency_ms) {
    record["latency_ms"] = *result.latency_ms;
    record["latency_rows"] = options.latency_rows;
  }
  record["predicted"] = result.predicted;
  record["measured"] = number_or_null(result.measured);
  record["measured_stderr"] = number_or_null(result.measured_stderr);
  record["gap"] = result.gap;
  record["rounds"] = OrderedJson::array();
  for (const PlanRound& round : result.rounds) {
    record["rounds"].push_back({{"change", round.change},
                                {"bytes", round.bytes},
                                {"predicted", round.predicted},
                                {"measured", number_or_null(round.measured)},
                                {"changed", round.changed}});
  }
  return record.dump();
}

}  // namespace

std::string plan_document(const PlanProblem& problem, const PlanChoices& choices,
                          const SensitivityReport& report, const PlanResult& result,
                          const PlanOptions& options, const std::string& calibrate) {
  QuantPlan plan;
  plan.model = report.model;
  plan.model_sha256 = report.model_sha256;
  plan.calibration = parse_calibration(calibrate);
  for (const UnitResult& unit : report.units) plan.entries.push_back({unit.name, std::nullopt});
  for (std::size_t g = 0; g < choices.size(); ++g) {
    const Format* const format = problem.format(choices[g]);
    if (format == nullptr) continue;
    for (const PlanUnit& unit : problem.groups()[g]) {
      PlannedFormat planned;
      planned.format = *format;
      plan.entries[unit.row].format = planned;
    }
  }
  plan.record = record_of(report, result, options);
  return plan.to_json();
}

}  // namespace qvl
