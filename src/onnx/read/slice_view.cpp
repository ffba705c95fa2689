#include "onnx/read/slice_view.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "onnx/element_type.h"
#include "onnx/read/node_parts.h"

namespace qvl {
namespace {

constexpr std::array<std::string_view, 27> kKeepsTypeOfFirst{
    "Add",     "Sub",   "Mul",   "Div",     "Neg",       "Pow",    "Sqrt",   "Erf",      "Tanh",
    "Sigmoid", "Sin",   "Cos",   "Softmax", "MatMul",    "Gemm",   "Conv",   "Reshape",  "Transpose",
    "Concat",  "Split", "Slice", "Squeeze", "Unsqueeze", "Gather", "Expand", "Identity", "ReduceMean"};

bool is_standard_op(const ModelGraph::Node& node, std::string_view op) {
  return node.op == op && node.domain.empty();
}

}  // namespace

SliceView::SliceView(const ModelGraph::State& graph, const ModelSlice& slice) : graph_(graph), slice_(slice) {
  nodes_.insert(slice.nodes.begin(), slice.nodes.end());
  for (const ModelSlice::Replacement& replacement : slice.replacements) nodes_.erase(replacement.node);
  for (const ModelSlice::Input& input : slice.inputs) given_.emplace(input.name, input.dtype);
  for (const std::string& output : slice.outputs) ++takers_[output];
  for (const std::size_t index : slice.nodes) {
    for (const std::string& input : graph.nodes[index].inputs) ++takers_[input];
    for (const std::string& value : graph.nodes[index].captured) ++takers_[value];
  }
}

const onnx::AttributeProto* SliceView::attribute(std::size_t index, std::string_view name) const {
  return find_attribute(graph_.model.graph().node(static_cast<int>(index)), name);
}

bool SliceView::is(std::size_t index, std::string_view op, std::size_t operands) const {
  const ModelGraph::Node& node = graph_.nodes[index];
  return nodes_.contains(index) && is_standard_op(node, op) && node.inputs.size() >= operands &&
         !node.outputs.empty();
}

std::optional<std::size_t> SliceView::only_maker(std::string value, std::vector<std::size_t>& passed,
                                                 std::size_t takers) const {
  for (;;) {
    const auto maker = graph_.makers.find(value);
    const auto taken = takers_.find(value);
    if (maker == graph_.makers.end() || !nodes_.contains(maker->second) || given_.contains(value) ||
        taken == takers_.end() || taken->second != takers)
      return std::nullopt;
    if (!is(maker->second, "Cast")) return maker->second;
    const onnx::AttributeProto* const to = attribute(maker->second, "to");
    if (to == nullptr || to->i() != onnx::TensorProto::FLOAT) return std::nullopt;
    passed.push_back(maker->second);
    value = graph_.nodes[maker->second].inputs.front();
  }
}

std::optional<onnx::TensorProto> SliceView::constant(const std::string& value) const {
  const auto place = graph_.places.find(value);
  if (place != graph_.places.end()) {
    if (place->second.file != nullptr) return std::nullopt;
    return graph_.model.graph().initializer(place->second.initializer);
  }
  const auto maker = graph_.makers.find(value);
  if (maker == graph_.makers.end() || !is_standard_op(graph_.nodes[maker->second], "Constant"))
    return std::nullopt;
  const onnx::AttributeProto* const held = attribute(maker->second, "value");
  if (held == nullptr) return std::nullopt;
  return held->t();
}

std::optional<float> SliceView::number(const std::string& value) const {
  std::optional<onnx::TensorProto> tensor = constant(value);
  if (!tensor) return std::nullopt;
  const auto dtype = dtype_from_onnx(tensor->data_type());
  // More dimensions could make more of the other operand's.
  const bool single = std::ranges::all_of(tensor->dims(), [](auto size) { return size == 1; });
  if (!dtype || tensor->dims_size() > 2 || !single) return std::nullopt;
  if (is_half(tensor->data_type())) {
    tensor = widened(*tensor, graph_.path.string());
  } else if (*dtype != DType::f32) {
    return std::nullopt;
  }
  const std::string bytes = tensor_bytes(*tensor, DType::f32, graph_.path.string());
  float result = 0.0F;
  if (bytes.size() != sizeof(result)) return std::nullopt;
  std::memcpy(&result, bytes.data(), sizeof(result));
  return result;
}

std::optional<std::vector<std::int64_t>> SliceView::integers(const std::string& value) const {
  const std::optional<onnx::TensorProto> tensor = constant(value);
  if (!tensor || tensor->data_type() != onnx::TensorProto::INT64) return std::nullopt;
  const std::string bytes = tensor_bytes(*tensor, DType::i64, graph_.path.string());
  std::vector<std::int64_t> values(bytes.size() / sizeof(std::int64_t));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(std::int64_t));
  return values;
}

bool SliceView::is_f32(std::string value) const {
  for (std::size_t behind = graph_.nodes.size();;) {
    const auto given = given_.find(value);
    if (given != given_.end()) return given->second == DType::f32;
    const auto place = graph_.places.find(value);
    if (place != graph_.places.end()) {
      const DType stored = place->second.constant.stored;
      return stored == DType::f32 || stored == DType::f16 || stored == DType::bf16;
    }
    const auto maker = graph_.makers.find(value);
    // Nodes stand behind those whose values they take; what does not could go round in circles.
    if (maker == graph_.makers.end() || maker->second >= behind) return false;
    behind = maker->second;
    const ModelGraph::Node& node = graph_.nodes[maker->second];
    if (is_standard_op(node, "Cast")) {
      const onnx::AttributeProto* const to = attribute(maker->second, "to");
      return to != nullptr && to->i() == onnx::TensorProto::FLOAT;
    }
    if (is_standard_op(node, "LayerNormalization") || is_standard_op(node, "DequantizeLinear")) return true;
    if (is_standard_op(node, "Where") && node.inputs.size() > 1) {
      value = node.inputs[1];
    } else if (node.domain.empty() && !node.inputs.empty() &&
               std::ranges::find(kKeepsTypeOfFirst, node.op) != kKeepsTypeOfFirst.end()) {
      value = node.inputs.front();
    } else {
      return false;
    }
  }
}

}  // namespace qvl
