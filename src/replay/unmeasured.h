// Units that lie in the bodies of If, Loop and Scan, for reports and messages.
#pragma once

#include <string>
#include <vector>

#include "onnx/read/model_graph.h"
#include "qvl/sensitivity.h"
#include "replay/unit.h"

namespace qvl {

// By the op around them, in the graph's order; parameters and shares count each weight once. `units` are the
// graph's own.
[[nodiscard]] std::vector<BodyUnits> units_of_bodies(const ModelGraph& graph, const std::vector<Unit>& units);

// "36 units, 92 % of the weights, lie in bodies of If: not measured", the last word being `fate`.
[[nodiscard]] std::string to_text(const BodyUnits& units, const std::string& fate);

// "2 units (a, b) do not reach the output logits, by which is measured", or "" where there is none.
[[nodiscard]] std::string unseen_text(const std::vector<std::string>& units, const std::string& output);
[[nodiscard]] std::vector<std::string> unseen_units(const SensitivityReport& report);

// "2 units lie in branches that all samples take: measured, but never quantized", or "" where there is none.
[[nodiscard]] std::string in_body_text(const SensitivityReport& report);

}  // namespace qvl
