// A plan applied to one graph: what its units and tables become, and where their weights are.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "exporter/quantized_data.h"
#include "exporter/weight_source.h"
#include "onnx/model_graph.h"
#include "onnx/quantized_graph.h"
#include "quant/activation.h"
#include "quant/quant_plan.h"
#include "sensitivity/unit.h"

namespace qvl {

// What calibration data told about a unit.
struct CalibratedUnit {
  AffineU8 range;                 // of int8-static: of the operand, smoothed where it is
  double alpha = 0;               // that the smoothing was made with
  std::vector<float> smoothing;   // [depth]; empty: none
  std::vector<float> importance;  // [depth]; empty: none
};
using CalibratedUnits = std::unordered_map<std::string, CalibratedUnit>;  // by name

// Lists of one length and order: the units that are quantized, then the tables.
struct PreparedModel {
  std::vector<QuantizedNode> nodes;
  std::vector<QuantizedTable> tables;
  std::vector<QuantizedUnit> units;
  std::vector<SourceWeight> weights;
  std::vector<std::string> names;  // of units; of tables: of their weights
};

// `threads` compute weights that other nodes make. Throws InputError for what a format cannot be applied to.
[[nodiscard]] PreparedModel prepare_model(const ModelGraph& graph, const std::vector<Unit>& units,
                                          const QuantPlan& plan, const CalibratedUnits& calibrated,
                                          int threads);

}  // namespace qvl
