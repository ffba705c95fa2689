// Which nodes of a graph depend on which.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_set>
#include <vector>

#include "onnx/read/model_graph.h"

namespace qvl {

// Calls visit(value) for everything that a node takes, sub-graphs included.
template <class Visit>
void for_each_operand(const ModelGraph::Node& node, Visit&& visit) {
  for (const std::string& value : node.inputs) {
    if (!value.empty()) visit(value);
  }
  for (const std::string& value : node.captured) visit(value);
}

// Whether what a node gives depends on the numbers of its operands, not on their shapes alone.
[[nodiscard]] bool looks_at_numbers(const ModelGraph::Node& node);

// For each node, whether one of the values depends on it; with `by_numbers` on the numbers that it gives, not
// on their shape alone.
[[nodiscard]] std::vector<bool> ancestors_of(const ModelGraph& graph,
                                             const std::unordered_set<std::string>& values,
                                             bool by_numbers = false);

// For each node, whether its results depend on the numbers of the values, or of what the `seeds` give; nodes
// for which `among` is false are left out, and those that draw random numbers: draws are made once.
[[nodiscard]] std::vector<bool> descendants_of(const ModelGraph& graph,
                                               const std::unordered_set<std::string>& values,
                                               const std::vector<std::size_t>& seeds,
                                               const std::vector<bool>& among);

}  // namespace qvl
