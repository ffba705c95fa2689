#include "onnx/read/random_nodes.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_set>

#include "onnx/read/constant_truths.h"
#include "onnx/read/node_parts.h"
#include "onnx/rewrite/name_pool.h"

namespace qvl {
namespace {

bool is_random(const onnx::NodeProto& node) {
  const std::string& op = node.op_type();
  return op.starts_with("Random") || op == "Bernoulli" || op == "Multinomial";
}

// Whether it is a Dropout that may drop something: it has an operand training_mode.
bool may_drop(const onnx::NodeProto& node) {
  return node.op_type() == "Dropout" && node.domain().empty() && node.input_size() > 2 &&
         !node.input(2).empty();
}

class DropoutSplitter {
 public:
  explicit DropoutSplitter(onnx::GraphProto& graph) : graph_(graph) { names_.take_values(graph); }

  std::vector<std::string> run() {
    ConstantTruths truths(graph_);
    google::protobuf::RepeatedPtrField<onnx::NodeProto> nodes;
    nodes.Swap(graph_.mutable_node());
    for (onnx::NodeProto& node : nodes) {
      truths.learn(node);
      if (is_random(node)) {
        if (node.output_size() > 0) draws_.push_back(node.output(0));
        graph_.add_node()->Swap(&node);
      } else if (may_drop(node) && truths.of(node.input(2)) == true) {
        split(node);
      } else {
        graph_.add_node()->Swap(&node);
      }
    }
    return std::move(draws_);
  }

 private:
  onnx::NodeProto& add(const std::string& op, const std::vector<std::string>& inputs,
                       const std::string& output) {
    onnx::NodeProto& node = *graph_.add_node();
    node.set_op_type(op);
    node.set_name(output + "/" + op);
    for (const std::string& input : inputs) node.add_input(input);
    node.add_output(output);
    return node;
  }

  std::string cast_to_f32(const std::string& value, const std::string& name) {
    const std::string output = names_.free_name(name);
    set_integer(add("Cast", {value}, output), "to", onnx::TensorProto::FLOAT);
    return output;
  }

  std::string constant(float number, const std::string& name) {
    onnx::TensorProto& tensor = *graph_.add_initializer();
    tensor.set_name(names_.free_name(name));
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    tensor.add_float_data(number);
    return tensor.name();
  }

  void split(const onnx::NodeProto& node) {
    onnx::NodeProto& drawing = *graph_.add_node();
    drawing = node;
    const std::string y = node.output(0);
    const std::string stem = call_name(node);
    drawing.set_output(0, names_.free_name(stem + "/drawn"));
    if (drawing.output_size() < 2) drawing.add_output("");
    if (drawing.output(1).empty()) drawing.set_output(1, names_.free_name(stem + "/mask"));
    const std::string mask = drawing.output(1);
    draws_.push_back(mask);
    const std::string ratio =
        node.input(1).empty() ? constant(0.5F, stem + "/ratio") : cast_to_f32(node.input(1), stem + "/ratio");
    const std::string one = constant(1, stem + "/one");
    const std::string kept = names_.free_name(stem + "/kept");
    const std::string scale = names_.free_name(stem + "/scale");
    const std::string scaled = names_.free_name(stem + "/scaled");
    add("Sub", {one, ratio}, kept);
    add("Div", {one, kept}, scale);
    add("Mul", {node.input(0), scale}, scaled);
    const std::string factors = cast_to_f32(mask, stem + "/factors");
    add("Mul", {scaled, factors}, y);
  }

  onnx::GraphProto& graph_;
  NamePool names_;
  std::vector<std::string> draws_;
};

void add_random_of_bodies(const onnx::GraphProto& graph, ConstantTruths truths, bool inside,
                          const std::string& prefix, std::vector<std::string>& found) {
  truths.learn(graph);
  for (const onnx::NodeProto& node : graph.node()) {
    truths.learn(node);
    const auto training = may_drop(node) ? truths.of(node.input(2)) : std::optional(false);
    const bool unclear = !training.has_value() || (inside && *training);
    if (unclear || (inside && is_random(node)))
      found.push_back(prefix + call_name(node) + " (" + node.op_type() + ")");
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      const std::string inner = prefix + call_name(node) + "/" + attribute.name() + "/";
      if (attribute.has_g()) add_random_of_bodies(attribute.g(), truths, true, inner, found);
      for (const onnx::GraphProto& body : attribute.graphs())
        add_random_of_bodies(body, truths, true, inner, found);
    }
  }
}

}  // namespace

std::vector<std::string> split_draws(onnx::GraphProto& graph) { return DropoutSplitter(graph).run(); }

std::vector<std::string> undrawable_nodes(const onnx::GraphProto& graph) {
  std::vector<std::string> found;
  add_random_of_bodies(graph, ConstantTruths(), false, "", found);
  return found;
}

}  // namespace qvl
