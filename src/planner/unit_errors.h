// What a unit in a format is believed to cost the output: what a plan adds up.
#pragma once

#include <string>
#include <vector>

#include "qvl/sensitivity.h"

namespace qvl {

// What the errors of a report are: "kl" (nats) where the model gives logits, else "mse"; of a baseline
// criterion its name.
[[nodiscard]] std::string error_name(const SensitivityReport& report);

// By row of the report and format of its units, 0 and more.
//
// Of a measured report: `in`, kl or mse, exact or estimated. Of a baseline, whose scores only order units:
// score x weights of the unit, so that among formats of one unit's size the unit with the higher score gets
// the bits first whatever its size, as the tools do that these scores are from; times
//   weight-mse                   1, as it is of the format
//   nncf-mean-variance, random   the mean squared error of all units' weights in the format, relative to that
//                                in the report's best: these scores know nothing of formats
// and, for formats that round activations, too, times 2 (both operands are rounded; these scores do not see it).
//
// Throws InputError when the report lacks them (a run of `--direction out`).
[[nodiscard]] std::vector<std::vector<double>> unit_errors(const SensitivityReport& report);

}  // namespace qvl
