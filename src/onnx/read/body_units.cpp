#include "onnx/read/body_units.h"

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <unordered_map>

#include "core/shape.h"
#include "onnx/element_type.h"
#include "onnx/read/node_parts.h"
#include "onnx/read/unit_ops.h"
#include "onnx/read/value_types.h"
#include "onnx/rewrite/name_pool.h"

namespace qvl {
namespace {

// The initializer that a value comes from.
struct Origin {
  std::string name;
  std::int64_t elements = 0;
  bool floating = true;
};
using Origins = std::unordered_map<std::string, Origin>;  // of values that depend on constants only

bool is_floating_type(int type) { return type == onnx::TensorProto::FLOAT || is_half(type); }

Origin origin_of(const onnx::TensorProto& tensor, std::string name) {
  const auto count = element_count(Shape(tensor.dims().begin(), tensor.dims().end()));
  return {std::move(name), count.value_or(0), is_floating_type(tensor.data_type())};
}

class BodyWalk {
 public:
  std::vector<BodyUnit> found;

  // `prefix`: of the body; empty for the model's graph.
  void walk(const onnx::GraphProto& graph, Origins known, const std::string& prefix,
            const std::string& control, int depth) {
    constexpr int kDeepest = 64;
    if (depth > kDeepest) return;
    for (const onnx::TensorProto& tensor : graph.initializer())
      known.insert_or_assign(tensor.name(), origin_of(tensor, prefix + tensor.name()));
    for (const auto& input : graph.input()) {
      if (!prefix.empty()) known.erase(input.name());
    }
    for (const onnx::NodeProto& node : graph.node()) {
      add_unit(node, known, prefix, control);
      for (const onnx::AttributeProto& attribute : node.attribute()) {
        const std::string inner = prefix + call_name(node) + "/" + attribute.name() + "/";
        const std::string& outermost = control.empty() ? node.op_type() : control;
        if (attribute.has_g()) walk(attribute.g(), known, inner, outermost, depth + 1);
        for (const onnx::GraphProto& body : attribute.graphs())
          walk(body, known, inner, outermost, depth + 1);
      }
      learn(node, known, prefix);
    }
  }

 private:
  static void learn(const onnx::NodeProto& node, Origins& known, const std::string& prefix) {
    if (node.output_size() == 0 || node.op_type().starts_with("Random")) return;
    if (node.op_type() == "Constant") {
      for (const onnx::AttributeProto& attribute : node.attribute()) {
        if (attribute.has_t())
          known.insert_or_assign(node.output(0), origin_of(attribute.t(), prefix + node.output(0)));
      }
      return;
    }
    // What a node with bodies gives may depend on more than its operands.
    const bool fixed = node.input_size() > 0 && !has_sub_graph(node) &&
                       std::ranges::all_of(node.input(), [&](const std::string& i) {
                         return i.empty() || known.contains(i);
                       });
    const auto first = fixed ? known.find(node.input(0)) : known.end();
    if (first == known.end()) return;
    Origin origin = first->second;
    if (node.op_type() == "DequantizeLinear") origin.floating = true;
    for (const std::string& output : node.output()) {
      if (!output.empty()) known.insert_or_assign(output, origin);
    }
  }

  void add_unit(const onnx::NodeProto& node, const Origins& known, const std::string& prefix,
                const std::string& control) {
    const std::string& op = node.op_type();
    if (prefix.empty() || !is_standard(node) || node.input_size() < 2) return;
    if (!is_unit_op(op)) return;
    const bool left = known.contains(node.input(0));
    const auto right = known.find(node.input(1));
    // Of a MatMul either side may be the weight.
    if (left && (right != known.end() || op != "MatMul")) return;
    const auto weight = left ? known.find(node.input(0)) : right;
    if (weight == known.end() || !weight->second.floating) return;
    const std::string own = node.name().empty() ? op + ":" + call_name(node) : node.name();
    found.push_back({prefix + own, op, control, weight->second.name, weight->second.elements});
  }
};

}  // namespace

std::vector<BodyUnit> units_in_bodies(const onnx::GraphProto& graph) {
  BodyWalk walk;
  walk.walk(graph, {}, "", "", 0);
  return std::move(walk.found);
}

}  // namespace qvl
