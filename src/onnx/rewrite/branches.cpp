#include "onnx/rewrite/branches.h"

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include "onnx/read/constant_truths.h"
#include "onnx/read/node_parts.h"
#include "onnx/rewrite/name_pool.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr int kDeepestBranches = 64;

using Nodes = google::protobuf::RepeatedPtrField<onnx::NodeProto>;

// Values of the enclosing graph get other names; the graph's own stay.
void rename_captured(onnx::GraphProto& graph, Names names) {
  for (const auto& input : graph.input()) names.erase(input.name());
  for (const auto& tensor : graph.initializer()) names.erase(tensor.name());
  for (const onnx::NodeProto& node : graph.node()) {
    for (const std::string& output : node.output()) names.erase(output);
  }
  for (onnx::NodeProto& node : *graph.mutable_node()) {
    for (std::string& input : *node.mutable_input()) input = renamed(names, input);
    for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
      if (attribute.has_g()) rename_captured(*attribute.mutable_g(), names);
      for (onnx::GraphProto& inner : *attribute.mutable_graphs()) rename_captured(inner, names);
    }
  }
  for (auto& output : *graph.mutable_output()) output.set_name(renamed(names, output.name()));
}

class BranchPlacer {
 public:
  BranchPlacer(onnx::ModelProto& model, const std::string& source)
      : graph_(*model.mutable_graph()), source_(source) {
    values_.take_values(graph_);
    for (const onnx::NodeProto& node : graph_.node()) nodes_.take(node.name());
  }

  // Those whose condition is a constant.
  void place_constant() { place(nullptr); }
  void place_fixed(const FixedBranch& fixed) { place(&fixed); }

 private:
  void place(const FixedBranch* fixed) {
    truths_ = ConstantTruths(graph_);
    Nodes nodes;
    for (onnx::NodeProto& node : *graph_.mutable_node()) put(node, fixed, 0, nodes);
    graph_.mutable_node()->Swap(&nodes);
  }

  void put(onnx::NodeProto& node, const FixedBranch* fixed, int depth, Nodes& out);
  [[nodiscard]] std::optional<bool> taken_by(const onnx::NodeProto& node, const FixedBranch* fixed) const;
  void expand(const onnx::NodeProto& node, bool taken, int depth, Nodes& out);
  onnx::GraphProto& graph_;
  const std::string& source_;
  NamePool values_;
  NamePool nodes_;
  ConstantTruths truths_;
};

std::optional<bool> BranchPlacer::taken_by(const onnx::NodeProto& node, const FixedBranch* fixed) const {
  if (!is_standard(node, "If") || node.input_size() != 1) return std::nullopt;
  if (const auto known = truths_.of(node.input(0))) return known;
  if (fixed == nullptr || std::ranges::find(node.output(), fixed->output) == node.output().end())
    return std::nullopt;
  return fixed->taken;
}

void BranchPlacer::put(onnx::NodeProto& node, const FixedBranch* fixed, int depth, Nodes& out) {
  if (depth > kDeepestBranches)
    throw InputError(fmt::format("{}: If nodes are nested more than {} deep", source_, kDeepestBranches));
  if (const auto taken = taken_by(node, fixed)) {
    const onnx::NodeProto call = node;
    expand(call, *taken, depth, out);
    return;
  }
  truths_.learn(node);
  out.Add()->Swap(&node);
}

// `fixed` is one If of the graph as it was: not one that comes with a branch, though that may have its
// output.
void BranchPlacer::expand(const onnx::NodeProto& node, bool taken, int depth, Nodes& out) {
  const char* const branch = taken ? "then_branch" : "else_branch";
  const onnx::AttributeProto* const held = find_attribute(node, branch);
  if (held == nullptr || !held->has_g() || held->g().output_size() < node.output_size()) {
    throw InputError(fmt::format("{}: the {} of {} does not give the {} values that the node gives", source_,
                                 branch, call_name(node), node.output_size()));
  }
  onnx::GraphProto body = held->g();
  const std::string prefix = call_name(node) + "/" + branch + "/";
  Names names;
  std::vector<std::pair<std::string, std::string>> handed;  // values that are given out: value, output
  std::unordered_map<std::string, std::string> results;     // what a node of the body gives out directly
  for (int i = 0; i < node.output_size(); ++i) {
    if (!node.output(i).empty()) results.emplace(body.output(i).name(), node.output(i));
  }
  for (const onnx::NodeProto& inner : body.node()) {
    for (const std::string& output : inner.output()) {
      if (output.empty()) continue;
      const auto result = results.find(output);
      names[output] = result != results.end() ? result->second : values_.free_name(prefix + output);
    }
  }
  for (auto& tensor : *body.mutable_initializer()) {
    names[tensor.name()] = values_.free_name(prefix + tensor.name());
    tensor.set_name(names[tensor.name()]);
    truths_.learn(tensor, tensor.name());
    graph_.add_initializer()->Swap(&tensor);
  }
  for (auto& tensor : *body.mutable_sparse_initializer()) {
    const std::string own = tensor.values().name();
    names[own] = values_.free_name(prefix + own);
    tensor.mutable_values()->set_name(names[own]);
    graph_.add_sparse_initializer()->Swap(&tensor);
  }
  for (int i = 0; i < node.output_size(); ++i) {
    const std::string value = renamed(names, body.output(i).name());
    if (!node.output(i).empty() && value != node.output(i)) handed.emplace_back(value, node.output(i));
  }
  for (onnx::NodeProto& inner : *body.mutable_node()) {
    const std::string own = inner.name().empty() ? inner.op_type() + ":" + call_name(inner) : inner.name();
    inner.set_name(nodes_.free_name(prefix + own));
    for (std::string& input : *inner.mutable_input()) input = renamed(names, input);
    for (std::string& output : *inner.mutable_output()) output = renamed(names, output);
    for (onnx::AttributeProto& attribute : *inner.mutable_attribute()) {
      if (attribute.has_g()) rename_captured(*attribute.mutable_g(), names);
      for (onnx::GraphProto& graph : *attribute.mutable_graphs()) rename_captured(graph, names);
    }
    put(inner, nullptr, depth + 1, out);
  }
  for (const auto& [value, output] : handed) {
    onnx::NodeProto& identity = *out.Add();
    identity.set_op_type("Identity");
    identity.set_name(nodes_.free_name(prefix + output));
    identity.add_input(value);
    identity.add_output(output);
    truths_.learn(identity);
  }
}

}  // namespace

void put_branches_in_place(onnx::ModelProto& model, const std::vector<FixedBranch>& fixed,
                           const std::string& source) {
  const bool any = std::ranges::any_of(model.graph().node(),
                                       [](const onnx::NodeProto& node) { return is_standard(node, "If"); });
  if (!any) return;
  BranchPlacer placer(model, source);
  placer.place_constant();
  for (const FixedBranch& one : fixed) placer.place_fixed(one);
}

}  // namespace qvl
