// Branches of If nodes that are always taken, put in the place of the node.
#pragma once

#include <string>
#include <vector>

namespace onnx {
class ModelProto;
class GraphProto;
}  // namespace onnx

namespace qvl {

// An If of the model's graph, by the first value that it gives, and which of its branches stands in for it.
struct FixedBranch {
  std::string output;
  bool taken = true;  // then_branch
};

// Replaces each If of the graph whose condition is a constant of the model (an initializer or a Constant
// node, also through Identity, Not and a Cast to bool) by the nodes of the branch that it takes; and after
// that, one after the other, those of `fixed`. Nodes and values that a branch brings along get
// "IF/then_branch/" or "IF/else_branch/" in front, IF being the node's name or, where it has none, its first
// output; a nested If is then an If of the graph. Throws InputError, naming `source`, for branches that do
// not give what the node gives, and for If nodes nested more than 64 deep.
void put_branches_in_place(onnx::ModelProto& model, const std::vector<FixedBranch>& fixed,
                           const std::string& source);

}  // namespace qvl
