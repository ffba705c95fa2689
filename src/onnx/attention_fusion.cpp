#include "onnx/attention_fusion.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace qvl {
namespace {

constexpr std::array<std::string_view, 27> kKeepsTypeOfFirst{
    "Add",     "Sub",   "Mul",   "Div",     "Neg",       "Pow",    "Sqrt",   "Erf",      "Tanh",
    "Sigmoid", "Sin",   "Cos",   "Softmax", "MatMul",    "Gemm",   "Conv",   "Reshape",  "Transpose",
    "Concat",  "Split", "Slice", "Squeeze", "Unsqueeze", "Gather", "Expand", "Identity", "ReduceMean"};

bool is(const ModelGraph::Node& node, std::string_view op) { return node.op == op && node.domain.empty(); }

class AttentionFinder {
 public:
  AttentionFinder(const ModelGraph::State& graph, const ModelSlice& slice) : graph_(graph) {
    nodes_.insert(slice.nodes.begin(), slice.nodes.end());
    for (const ModelSlice::Replacement& replacement : slice.replacements) nodes_.erase(replacement.node);
    for (const ModelSlice::Input& input : slice.inputs) given_.emplace(input.name, input.dtype);
    for (const std::string& output : slice.outputs) ++takers_[output];
    for (const std::size_t index : slice.nodes) {
      for (const std::string& input : graph.nodes[index].inputs) ++takers_[input];
      for (const std::string& value : graph.nodes[index].captured) ++takers_[value];
    }
  }

  // The attention that the node ends.
  [[nodiscard]] std::optional<AttentionFusion> ending_with(std::size_t index) const;

 private:
  [[nodiscard]] const onnx::NodeProto& proto(std::size_t index) const {
    return graph_.model.graph().node(static_cast<int>(index));
  }
  [[nodiscard]] const onnx::AttributeProto* attribute(std::size_t index, std::string_view name) const;
  [[nodiscard]] bool is_plain_node(std::size_t index, std::string_view op) const {
    return nodes_.contains(index) && is(graph_.nodes[index], op);
  }
  // The node of the slice that makes a value which so many others take; passes over casts, which it adds to
  // `passed`.
  [[nodiscard]] std::optional<std::size_t> only_maker(std::string value, std::vector<std::size_t>& passed,
                                                      std::size_t takers = 1) const;
  [[nodiscard]] std::optional<float> number(const std::string& value) const;
  [[nodiscard]] bool is_over_last_axis(std::size_t softmax) const;
  [[nodiscard]] bool is_f32(std::string value) const;
  // The scores without a mask: fills in q, k, the scale and what is absorbed.
  [[nodiscard]] bool take_scores(const std::string& value, AttentionFusion& fusion) const;
  // The weights of the values; returns the Softmax.
  [[nodiscard]] std::optional<std::size_t> take_weights(const std::string& value,
                                                        AttentionFusion& fusion) const;
  [[nodiscard]] bool take_masked_scores(const std::string& value, AttentionFusion& fusion) const;

  const ModelGraph::State& graph_;
  std::unordered_set<std::size_t> nodes_;  // of the slice, without those that are replaced
  std::unordered_map<std::string, DType> given_;
  std::unordered_map<std::string, std::size_t> takers_;
};

const onnx::AttributeProto* AttentionFinder::attribute(std::size_t index, std::string_view name) const {
  for (const onnx::AttributeProto& found : proto(index).attribute()) {
    if (found.name() == name) return &found;
  }
  return nullptr;
}

std::optional<std::size_t> AttentionFinder::only_maker(std::string value, std::vector<std::size_t>& passed,
                                                       std::size_t takers) const {
  for (;;) {
    const auto maker = graph_.makers.find(value);
    const auto taken = takers_.find(value);
    if (maker == graph_.makers.end() || !nodes_.contains(maker->second) || given_.contains(value) ||
        taken == takers_.end() || taken->second != takers)
      return std::nullopt;
    if (!is_plain_node(maker->second, "Cast")) return maker->second;
    const onnx::AttributeProto* const to = attribute(maker->second, "to");
    if (to == nullptr || to->i() != onnx::TensorProto::FLOAT) return std::nullopt;
    passed.push_back(maker->second);
    value = graph_.nodes[maker->second].inputs.front();
  }
}

std::optional<float> AttentionFinder::number(const std::string& value) const {
  onnx::TensorProto tensor;
  const auto place = graph_.places.find(value);
  const auto maker = graph_.makers.find(value);
  if (place != graph_.places.end() && place->second.file == nullptr) {
    tensor = graph_.model.graph().initializer(place->second.initializer);
  } else if (maker != graph_.makers.end() && is(graph_.nodes[maker->second], "Constant")) {
    const onnx::AttributeProto* const held = attribute(maker->second, "value");
    if (held == nullptr) return std::nullopt;
    tensor = held->t();
  } else {
    return std::nullopt;
  }
  const auto dtype = dtype_of_onnx_type(tensor.data_type());
  // More dimensions could make more of the scores' own.
  const bool single = std::ranges::all_of(tensor.dims(), [](auto size) { return size == 1; });
  if (!dtype || tensor.dims_size() > 2 || !single) return std::nullopt;
  if (is_half(tensor.data_type())) {
    tensor = widened(tensor, graph_.path.string());
  } else if (*dtype != DType::f32) {
    return std::nullopt;
  }
  const std::string bytes = tensor_bytes(tensor, DType::f32, graph_.path.string());
  float result = 0.0F;
  std::memcpy(&result, bytes.data(), sizeof(result));
  return result;
}

bool AttentionFinder::is_over_last_axis(std::size_t softmax) const {
  const onnx::AttributeProto* const given = attribute(softmax, "axis");
  const std::int64_t axis = given != nullptr ? given->i() : graph_.opset < 13 ? 1 : -1;
  if (axis == -1) return true;  // before opset 13, too: all other axes become one
  const std::string& value = graph_.nodes[softmax].outputs.front();
  for (const onnx::ValueInfoProto& info : graph_.model.graph().value_info()) {
    if (info.name() == value && info.type().tensor_type().has_shape())
      return axis == info.type().tensor_type().shape().dim_size() - 1;
  }
  return false;
}

bool AttentionFinder::is_f32(std::string value) const {
  for (;;) {
    const auto given = given_.find(value);
    if (given != given_.end()) return given->second == DType::f32;
    const auto place = graph_.places.find(value);
    if (place != graph_.places.end()) {
      const DType stored = place->second.constant.stored;
      return stored == DType::f32 || stored == DType::f16 || stored == DType::bf16;
    }
    const auto maker = graph_.makers.find(value);
    if (maker == graph_.makers.end()) return false;
    const ModelGraph::Node& node = graph_.nodes[maker->second];
    if (is(node, "Cast")) {
      const onnx::AttributeProto* const to = attribute(maker->second, "to");
      return to != nullptr && to->i() == onnx::TensorProto::FLOAT;
    }
    if (is(node, "LayerNormalization") || is(node, "DequantizeLinear")) return true;
    if (is(node, "Where")) {
      value = node.inputs.at(1);
    } else if (node.domain.empty() &&
               std::ranges::find(kKeepsTypeOfFirst, node.op) != kKeepsTypeOfFirst.end()) {
      value = node.inputs.at(0);
    } else {
      return false;
    }
  }
}

bool AttentionFinder::take_scores(const std::string& value, AttentionFusion& fusion) const {
  std::vector<std::size_t> passed;
  auto maker = only_maker(value, passed);
  float scale = 1.0F;
  if (maker && (is_plain_node(*maker, "Mul") || is_plain_node(*maker, "Div"))) {
    const ModelGraph::Node& node = graph_.nodes[*maker];
    const bool divides = node.op == "Div";
    const std::size_t factor = !divides && number(node.inputs.at(0)) ? 0 : 1;
    const auto found = number(node.inputs.at(factor));
    if (!found) return false;
    scale = divides ? 1.0F / *found : *found;
    passed.push_back(*maker);
    maker = only_maker(node.inputs.at(1 - factor), passed);
  }
  if (!maker || !is_plain_node(*maker, "MatMul") || !std::isfinite(scale)) return false;
  const ModelGraph::Node& product = graph_.nodes[*maker];
  if (!is_f32(product.inputs.at(0))) return false;
  passed.push_back(*maker);
  fusion.q = product.inputs.at(0);
  fusion.k_transposed = product.inputs.at(1);
  fusion.scale = scale;
  fusion.absorbed.insert(fusion.absorbed.end(), passed.begin(), passed.end());
  return true;
}

bool AttentionFinder::take_masked_scores(const std::string& value, AttentionFusion& fusion) const {
  std::vector<std::size_t> passed;
  const auto maker = only_maker(value, passed);
  if (!maker || !is_plain_node(*maker, "Add")) return take_scores(value, fusion);
  const ModelGraph::Node& sum = graph_.nodes[*maker];
  for (const std::size_t side : {0U, 1U}) {
    if (!take_scores(sum.inputs.at(side), fusion)) continue;
    fusion.mask = sum.inputs.at(1 - side);
    fusion.absorbed.push_back(*maker);
    fusion.absorbed.insert(fusion.absorbed.end(), passed.begin(), passed.end());
    return true;
  }
  return false;
}

std::optional<std::size_t> AttentionFinder::take_weights(const std::string& value,
                                                         AttentionFusion& fusion) const {
  const auto maker = only_maker(value, fusion.absorbed);
  if (!maker || !is_plain_node(*maker, "Where")) return maker;
  const ModelGraph::Node& choice = graph_.nodes[*maker];
  const auto test = only_maker(choice.inputs.at(0), fusion.absorbed);
  if (!test || !is_plain_node(*test, "IsNaN") || graph_.nodes[*test].inputs.at(0) != choice.inputs.at(2) ||
      number(choice.inputs.at(1)) != 0.0F)
    return std::nullopt;
  fusion.absorbed.push_back(*maker);
  fusion.absorbed.push_back(*test);
  fusion.zero_for_nan = true;
  return only_maker(choice.inputs.at(2), fusion.absorbed, 2);
}

std::optional<AttentionFusion> AttentionFinder::ending_with(std::size_t index) const {
  if (!is_plain_node(index, "MatMul")) return std::nullopt;
  const ModelGraph::Node& node = graph_.nodes[index];
  AttentionFusion fusion;
  fusion.last = index;
  fusion.v = node.inputs.at(1);
  const auto softmax = take_weights(node.inputs.at(0), fusion);
  if (!softmax || !is_plain_node(*softmax, "Softmax") || !is_over_last_axis(*softmax)) return std::nullopt;
  fusion.absorbed.push_back(*softmax);
  if (!take_masked_scores(graph_.nodes[*softmax].inputs.at(0), fusion)) return std::nullopt;
  return fusion;
}

}  // namespace

std::vector<AttentionFusion> find_attentions(const ModelGraph::State& graph, const ModelSlice& slice) {
  const AttentionFinder finder(graph, slice);
  std::vector<AttentionFusion> found;
  for (const std::size_t index : slice.nodes) {
    if (auto fusion = finder.ending_with(index)) found.push_back(std::move(*fusion));
  }
  return found;
}

}  // namespace qvl
