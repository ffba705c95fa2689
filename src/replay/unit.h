// The units of a graph: every MatMul, Gemm and Conv with a constant weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/shape.h"
#include "onnx/read/model_graph.h"
#include "quant/weight_layout.h"

namespace qvl {

struct Unit {
  std::size_t node = 0;      // in the graph's nodes
  std::string name;          // the node's; where it has none, or one that others have too, told apart
  std::string op;            // MatMul, Gemm, Conv
  std::string weight;        // the initializer, found through Cast, Transpose, Identity, DequantizeLinear, …
  std::string weight_value;  // what the node takes; the same as `weight` when nothing is between
  std::string input;         // the value that is multiplied
  std::string output;
  Shape shape;  // of weight_value
  WeightLayout layout;
  // Where the numbers are read: an initializer (of several with the same bytes the first) whose numbers nodes
  // only move, or what nodes compute. Units with the same source and source_layout have the same numbers.
  std::string source;
  WeightLayout source_layout;
};

// In the graph's order. Weights that nodes compute, rather than move, are computed once to learn their shape;
// a weight without elements makes no unit. Nodes that no output depends on, or only on the shape of what they
// give, and those inside sub-graphs (If, Loop, Scan: ModelGraph::body_units), are no units. Throws as Session
// does when such a weight cannot be computed.
[[nodiscard]] std::vector<Unit> find_units(const ModelGraph& graph);

// The weight of a unit in f32, as its node takes it: read from the file (by so many threads), or computed.
[[nodiscard]] std::vector<float> load_weight(const ModelGraph& graph, const Unit& unit, int threads);
// The f32 numbers of a constant that nodes compute.
[[nodiscard]] std::vector<float> compute_floats(const ModelGraph& graph, const std::string& constant);

// Whether a name is meant by a pattern: names with * and ?, several with commas, ! before those to leave out.
[[nodiscard]] bool matches(const std::string& pattern, const std::string& name);

}  // namespace qvl
