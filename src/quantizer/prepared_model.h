// A plan applied to one graph: what its units and tables become, and where their weights are.
#pragma once

#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "exporter/quantized_data.h"
#include "exporter/weight_source.h"
#include "onnx/read/model_graph.h"
#include "onnx/rewrite/quantized_graph.h"
#include "quant/activation.h"
#include "quant/quant_plan.h"
#include "replay/unit.h"

namespace qvl {

// What calibration data told about a unit.
struct CalibratedUnit {
  AffineU8 range;                 // of int8-static: of the operand, smoothed where it is
  double alpha = 0;               // that the smoothing was made with
  std::vector<float> smoothing;   // [depth]; empty: none
  std::vector<float> importance;  // [depth]; empty: none
};
using CalibratedUnits = std::unordered_map<std::string, CalibratedUnit>;  // by name

// A table that the embedding's format is not for.
struct KeptTable {
  std::string weight;
  Shape shape;
  std::string why;  // "blocks of 32 do not divide its rows"
};

// Lists of one length and order: the units that are quantized, then the tables; `kept` is by itself.
struct PreparedModel {
  std::vector<QuantizedNode> nodes;
  std::vector<QuantizedTable> tables;
  std::vector<QuantizedUnit> units;
  std::vector<SourceWeight> weights;
  std::vector<std::string> names;  // of units; of tables: of their weights
  std::vector<KeptTable> kept;     // tables that the embedding's format is not for

  // The initializers of the tables.
  [[nodiscard]] std::vector<std::string> table_weights() const {
    std::vector<std::string> found;
    for (const QuantizedTable& table : tables) found.push_back(table.weight);
    return found;
  }
};

// Units and tables that read the same numbers of the same constant in the same order, and are rounded alike,
// share what is stored.
[[nodiscard]] PreparedModel prepare_model(const ModelGraph& graph, const std::vector<Unit>& units,
                                          const QuantPlan& plan, const CalibratedUnits& calibrated);

// Throws InputError where the plan has a format for the embedding and none of the models a table for it.
void require_tables(const QuantPlan& plan, std::span<const PreparedModel* const> models,
                    const std::string& source);

// Computes the weights that nodes make, each once; before they are read.
void hold_computed_weights(const ModelGraph& graph, PreparedModel& prepared);

}  // namespace qvl
