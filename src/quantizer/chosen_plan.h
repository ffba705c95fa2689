// The plan that is carried out: a file's, or one format for all units.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "quant/quant_plan.h"
#include "qvl/quantize.h"

namespace qvl {

// `units`: names of those of the model. Throws UsageError for options that do not go together, InputError for
// a plan file that is none, or whose entries fit no unit.
[[nodiscard]] QuantPlan chosen_plan(const QuantizeOptions& options, std::span<const std::string> units);

// Whether it takes calibration data: gptq, ranges of int8-static, smoothing.
[[nodiscard]] bool needs_data(const QuantPlan& plan);

// Throws InputError where the plan names another model than the one with this hash (a plan without one fits
// any).
void require_model(const QuantPlan& plan, const std::string& model_sha256, const std::string& model);

// Throws InputError naming the entries that fit none of these units.
void require_units(const QuantPlan& plan, std::span<const std::string> units, const std::string& model);

}  // namespace qvl
