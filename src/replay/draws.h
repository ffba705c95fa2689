// What nodes that draw random numbers give, made once a sample, so that every run of the sample has the same.
#pragma once

#include <string>

#include "onnx/read/model_graph.h"
#include "replay/values.h"

namespace qvl {

// The draws of the graph for a sample with these inputs, by one run of the unquantized model up to them. They
// depend on the inputs and on `seed_text` only: nodes without a seed get one that follows from it. Throws as
// Session does.
[[nodiscard]] Values draw_once(const ModelGraph& graph, const Values& inputs, const std::string& seed_text);

// Throws InputError, naming the first of them, for nodes whose draws cannot be kept.
void require_drawable(const ModelGraph& graph);

}  // namespace qvl
