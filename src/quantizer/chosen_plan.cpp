#include "quantizer/chosen_plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/name_pattern.h"
#include "core/text_file.h"
#include "qvl/error.h"
#include "replay/unit.h"

namespace qvl {
namespace {

constexpr std::size_t kMostNamed = 3;
static_assert(kSmoothAuto == kChooseSmooth);  // the public name of the plan's

PlannedFormat format_of(const QuantizeOptions& options) {
  PlannedFormat planned;
  planned.format = parse_format(options.format);
  planned.algorithm = parse_weight_algorithm(options.algorithm);
  planned.accuracy_level = options.accuracy_level;
  planned.smooth = options.smooth;
  check(planned);
  return planned;
}

}  // namespace

QuantPlan chosen_plan(const QuantizeOptions& options, std::span<const std::string> units) {
  if (options.plan.empty() == (options.format.empty() && options.embedding.empty()))
    throw UsageError("name a plan, or a format for all units, and not both");
  if (!options.plan.empty()) return QuantPlan::parse(read_text_file(options.plan), options.plan.string());
  QuantPlan plan;
  plan.calibration = parse_calibration(options.calibrate);
  if (!options.embedding.empty()) plan.embedding = parse_format(options.embedding);
  if (plan.embedding && plan.embedding->block == 0)
    throw UsageError(fmt::format("the embedding in {}; int8:B or int4:B is expected", options.embedding));
  if (options.format.empty()) return plan;
  const PlannedFormat planned = format_of(options);
  for (const std::string& unit : units) {
    if (matches(options.units, unit)) plan.entries.push_back({unit, planned});
  }
  if (plan.entries.empty()) {
    throw UsageError(fmt::format("no unit is called {}; there are {}, the first is {}", options.units,
                                 units.size(), units.empty() ? "none" : units.front()));
  }
  return plan;
}

bool needs_data(const QuantPlan& plan) {
  return std::ranges::any_of(plan.entries, [](const PlanEntry& entry) {
    if (!entry.format) return false;
    return entry.format->algorithm == WeightAlgorithm::gptq || entry.format->smooth != 0 ||
           entry.format->format.activations == ActivationRounding::static_u8;
  });
}

void require_model(const QuantPlan& plan, const std::string& model_sha256, const std::string& model) {
  if (plan.model_sha256.empty() || plan.model_sha256 == model_sha256) return;
  throw InputError(
      fmt::format("the plan is for another model: it was made for {} (SHA-256 {}), and {} has {}; make a "
                  "plan for this one, or remove "
                  "model_sha256 from the plan where it is meant for both",
                  plan.model, plan.model_sha256.substr(0, 12), model, model_sha256.substr(0, 12)));
}

void require_units(const QuantPlan& plan, std::span<const std::string> units, const std::string& model) {
  std::vector<std::string> strangers;
  for (const PlanEntry& entry : plan.entries) {
    const bool fits =
        std::ranges::any_of(units, [&](const std::string& unit) { return fits_pattern(entry.name, unit); });
    if (!fits) strangers.push_back(entry.name);
  }
  if (strangers.empty()) return;
  const std::size_t named = std::min(strangers.size(), kMostNamed);
  throw InputError(fmt::format(
      "{} of {} entries of the plan name no unit of {}: {}{}; its first unit is {}", strangers.size(),
      plan.entries.size(), model, fmt::join(std::span(strangers).first(named), ", "),
      strangers.size() > named ? ", …" : "", units.empty() ? "none" : units.front()));
}

}  // namespace qvl
