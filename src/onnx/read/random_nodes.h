// Nodes that draw random numbers. Internal to this layer.
#pragma once

#include <onnx/onnx_pb.h>

#include <string>
#include <vector>

namespace qvl {

// Rewrites each Dropout of the graph that drops something (its training_mode is constantly true), so that
// only its mask is drawn: y = x mask / (1 - ratio) by nodes of their own. In a graph that has been widened to
// f32. Returns the outputs that are draws then, in the order of the nodes: masks, and what RandomNormal,
// RandomUniform, their …Like, Bernoulli and Multinomial give.
[[nodiscard]] std::vector<std::string> split_draws(onnx::GraphProto& graph);

// Nodes whose draws cannot be told apart from the rest: those in the bodies of If, Loop and Scan, and Dropout
// whose training_mode the model computes. By name.
[[nodiscard]] std::vector<std::string> undrawable_nodes(const onnx::GraphProto& graph);

}  // namespace qvl
