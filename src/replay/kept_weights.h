// Which of a graph's weights are of no unit.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "onnx/read/model_graph.h"
#include "qvl/quantize.h"
#include "replay/unit.h"

namespace qvl {

struct WeightUses {
  std::uint64_t bytes = 0;        // of all initializers that nodes take, but for integers of 32 bits and more
  std::uint64_t unit_bytes = 0;   // of these, what units take as their weights
  std::vector<KeptWeights> kept;  // the others, the largest first
};

// Each initializer counts once: for the units if one of them takes it, else for the first node that does;
// those at one place of a file of external data are one. What a sub-graph has itself does not count; what it
// takes from outside does, for the If, Loop or Scan. `tables` are left out of what is kept: they are
// quantized, too.
[[nodiscard]] WeightUses weight_uses(const ModelGraph& graph, const std::vector<Unit>& units,
                                     std::span<const std::string> tables = {});

// Initializers that a constant is computed from; itself if it is one.
[[nodiscard]] std::vector<std::string> initializers_behind(const ModelGraph& graph,
                                                           const std::string& constant);

// "52.1 % LSTM (lstm_1, lstm_2), 0.3 % MatMul with the constant on the left (left)": whatever has at least a
// hundredth of the bytes or is about an op that units are made of; "" for none.
[[nodiscard]] std::string describe_kept(std::span<const KeptWeights> kept, std::uint64_t bytes);

}  // namespace qvl
