#include "onnx/read/model_slice.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>

#include "onnx/element_type.h"
#include "onnx/operator_set.h"
#include "onnx/read/model_graph_state.h"
#include "onnx/read/node_parts.h"
#include "onnx/read/value_types.h"
#include "onnx/rewrite/attention_fusion.h"
#include "onnx/rewrite/rotary_fusion.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr const char* kOwnDomain = "qvl";

}  // namespace

// Collects a slice's nodes and constants into a model.
class SliceWriter {
 public:
  SliceWriter(const ModelGraph::State& graph, const ModelSlice& slice) : graph_(graph), slice_(slice) {}

  std::string write();

 private:
  using Place = ModelGraph::State::Place;

  void plan_fusions();
  void add_ports();
  void add_node(std::size_t index);
  void add_fused(const AttentionFusion& fusion);
  void add_fused(const RotaryFusion& fusion);
  // A node of qvl's own in place of others, the last of which it is named after.
  onnx::NodeProto& own_node(const std::string& op, std::size_t last, const std::vector<std::string>& inputs);
  // The node itself, whose operands are there.
  void write_node(std::size_t index);
  // Makes sure that a value which a node takes is there.
  void need(const std::string& value);
  template <class Visit>
  void for_each_operand(std::size_t index, Visit&& visit) const;
  void add_initializer(const std::string& value);
  std::string rounded_operand(const std::string& operand, const ModelSlice::Replacement& replacement);
  onnx::NodeProto& helper(const std::string& op, const std::string& name);
  void add_input(const std::string& name, DType dtype, std::optional<std::size_t> rank);
  // Types and shapes that bodies need.
  void tell_types();

  const ModelGraph::State& graph_;
  const ModelSlice& slice_;
  onnx::ModelProto model_;
  onnx::GraphProto* out_ = nullptr;
  std::unordered_map<std::size_t, const ModelSlice::Replacement*> replacements_;
  std::unordered_map<std::size_t, std::variant<AttentionFusion, RotaryFusion>>
      fusions_;                               // by their last node
  std::unordered_set<std::size_t> absorbed_;  // by fusions
  std::unordered_set<std::string> given_;     // inputs, and results of the nodes so far
};

void SliceWriter::add_input(const std::string& name, DType dtype, std::optional<std::size_t> rank) {
  onnx::ValueInfoProto& input = *out_->add_input();
  input.set_name(name);
  auto& type = *input.mutable_type()->mutable_tensor_type();
  type.set_elem_type(onnx_dtype(dtype));
  for (std::size_t i = 0; rank && i < *rank; ++i) type.mutable_shape()->add_dim();
  if (rank) type.mutable_shape();
  given_.insert(name);
}

void SliceWriter::add_ports() {
  for (const ModelSlice::Input& input : slice_.inputs) add_input(input.name, input.dtype, std::nullopt);
  for (const ModelSlice::Replacement& replacement : slice_.replacements) {
    add_input(replacement.weight, DType::f32, std::nullopt);
    if (replacement.rounding != OperandRounding::fixed) continue;
    add_input(replacement.scale, DType::f32, 0);
    add_input(replacement.zero_point, DType::u8, 0);
  }
  for (const std::string& output : slice_.outputs) out_->add_output()->set_name(output);
}

void SliceWriter::add_initializer(const std::string& value) {
  const auto found = graph_.places.find(value);
  if (found == graph_.places.end()) {  // of a dtype that qvl does not have
    for (const onnx::TensorProto& tensor : graph_.model.graph().initializer()) {
      if (tensor.name() == value) *out_->add_initializer() = tensor;
    }
    return;
  }
  const Place& place = found->second;
  const onnx::TensorProto& stored = graph_.model.graph().initializer(place.initializer);
  onnx::TensorProto& tensor = *out_->add_initializer();
  if (!is_half(stored.data_type()) || place.keep_stored) {
    tensor = stored;
    tensor.set_name(value);
    return;
  }
  if (place.file == nullptr) {
    tensor = widened(stored, graph_.path.string());
    return;
  }
  onnx::TensorProto copy;
  copy.set_name(value);
  *copy.mutable_dims() = stored.dims();
  copy.set_data_type(stored.data_type());
  copy.mutable_raw_data()->resize(place.constant.size_bytes);
  place.file->read(place.offset_bytes, std::as_writable_bytes(std::span(*copy.mutable_raw_data())));
  tensor = widened(copy, graph_.path.string());
}

// But for the weight that something else replaces.
template <class Visit>
void SliceWriter::for_each_operand(std::size_t index, Visit&& visit) const {
  const ModelGraph::Node& node = graph_.nodes[index];
  const bool replaced = replacements_.contains(index);
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    if (!replaced || i != 1) visit(node.inputs[i]);
  }
  for (const std::string& value : node.captured) visit(value);
}

// Without recursion, which a file could make as deep as it likes.
void SliceWriter::need(const std::string& value) {
  std::vector<std::string> wanted{value};
  std::set<std::size_t> makers;  // ascending, which is an order of computation
  while (!wanted.empty()) {
    const std::string next = std::move(wanted.back());
    wanted.pop_back();
    if (next.empty() || given_.contains(next)) continue;
    if (!graph_.constants.contains(next)) {
      throw UsageError(fmt::format("{}: nothing gives {} to this part", graph_.path.string(), next));
    }
    const auto maker = graph_.makers.find(next);
    if (maker == graph_.makers.end()) {
      given_.insert(next);
      add_initializer(next);
    } else if (makers.insert(maker->second).second) {
      for_each_operand(maker->second, [&](const std::string& operand) { wanted.push_back(operand); });
    }
  }
  for (const std::size_t maker : makers) write_node(maker);
}

onnx::NodeProto& SliceWriter::helper(const std::string& op, const std::string& name) {
  onnx::NodeProto& node = *out_->add_node();
  node.set_op_type(op);
  node.set_name(name);
  return node;
}

// The operand through 8 bits and back; returns the name of the rounded value.
std::string SliceWriter::rounded_operand(const std::string& operand,
                                         const ModelSlice::Replacement& replacement) {
  if (replacement.rounding == OperandRounding::none) return operand;
  const std::string stem = replacement.weight + "/operand";
  std::string scale = replacement.scale;
  std::string zero_point = replacement.zero_point;
  if (replacement.rounding == OperandRounding::dynamic) {
    scale = stem + "/scale";
    zero_point = stem + "/zero_point";
    onnx::NodeProto& quantize = helper("DynamicQuantizeLinear", stem + "/DynamicQuantizeLinear");
    quantize.add_input(operand);
    for (const std::string& output : {stem + "/q", scale, zero_point}) quantize.add_output(output);
  } else {
    onnx::NodeProto& quantize = helper("QuantizeLinear", stem + "/QuantizeLinear");
    for (const std::string& input : {operand, scale, zero_point}) quantize.add_input(input);
    quantize.add_output(stem + "/q");
  }
  onnx::NodeProto& dequantize = helper("DequantizeLinear", stem + "/DequantizeLinear");
  for (const std::string& input : {stem + "/q", scale, zero_point}) dequantize.add_input(input);
  dequantize.add_output(stem);
  return stem;
}

namespace {

// A whole number that f32 holds, too: the attribute is one, but for Dropout's.
void add_seed(onnx::NodeProto& node, std::uint64_t number) {
  constexpr std::uint64_t kMixer = 0x9E3779B97F4A7C15U;
  constexpr std::uint64_t kMost = 16'000'000;
  if (find_attribute(node, "seed") != nullptr) return;
  const std::uint64_t mixed = (number ^ (number >> 31U)) * kMixer;
  const std::uint64_t seed = 1 + (mixed >> 20U) % kMost;
  if (node.op_type() == "Dropout") {
    set_integer(node, "seed", static_cast<std::int64_t>(seed));
  } else {
    set_real(node, "seed", static_cast<float>(seed));
  }
}

}  // namespace

void SliceWriter::write_node(std::size_t index) {
  onnx::NodeProto node = graph_.model.graph().node(static_cast<int>(index));
  const auto replaced = replacements_.find(index);
  if (replaced != replacements_.end()) {
    node.set_input(0, rounded_operand(node.input(0), *replaced->second));
    node.set_input(1, replaced->second->weight);
  }
  given_.insert(node.output().begin(), node.output().end());
  if (slice_.draw_seed && !graph_.nodes[index].drawn.empty()) add_seed(node, *slice_.draw_seed + index);
  *out_->add_node() = std::move(node);
}

onnx::NodeProto& SliceWriter::own_node(const std::string& op, std::size_t last,
                                       const std::vector<std::string>& inputs) {
  for (const std::string& input : inputs) need(input);
  onnx::NodeProto& node = helper(op, graph_.nodes[last].name);
  node.set_domain(kOwnDomain);
  for (const std::string& input : inputs) node.add_input(input);
  node.add_output(graph_.nodes[last].outputs.front());
  given_.insert(node.output(0));
  return node;
}

void SliceWriter::add_fused(const AttentionFusion& fusion) {
  std::vector<std::string> inputs{fusion.q, fusion.k_transposed, fusion.v};
  if (!fusion.mask.empty()) inputs.push_back(fusion.mask);
  onnx::NodeProto& node = own_node("Attention", fusion.last, inputs);
  set_real(node, "scale", fusion.scale);
  set_integer(node, "zero_for_nan", fusion.zero_for_nan ? 1 : 0);
  set_integer(node, "steps", slice_.fuse_attention ? 0 : 1);
}

void SliceWriter::add_fused(const RotaryFusion& fusion) {
  onnx::NodeProto& node = own_node("Rotary", fusion.last, {fusion.x, fusion.cos, fusion.sin});
  set_integer(node, "axis", fusion.axis);
  set_integer(node, "middle", fusion.middle);
}

void SliceWriter::add_node(std::size_t index) {
  const auto fused = fusions_.find(index);
  if (fused != fusions_.end()) {
    std::visit([&](const auto& fusion) { add_fused(fusion); }, fused->second);
    return;
  }
  for_each_operand(index, [&](const std::string& operand) { need(operand); });
  write_node(index);
}

void SliceWriter::plan_fusions() {
  const SliceView view(graph_, slice_);
  const auto take = [&](auto fusion) {
    absorbed_.insert(fusion.absorbed.begin(), fusion.absorbed.end());
    const std::size_t last = fusion.last;
    fusions_.emplace(last, std::move(fusion));
  };
  if (slice_.fuse_attention || slice_.block_attention) {
    for (AttentionFusion& fusion : find_attentions(view)) {
      if (slice_.fuse_attention || (fusion.scale == 1.0F && !fusion.zero_for_nan)) take(std::move(fusion));
    }
  }
  if (slice_.fuse_rotary) {
    for (RotaryFusion& fusion : find_rotaries(view)) take(std::move(fusion));
  }
  if (fusions_.empty()) return;
  import_domain(model_, kOwnDomain, 1);
}

// Only where there are bodies: everywhere else a runtime learns what it needs from what it is given.
void SliceWriter::tell_types() {
  if (std::ranges::none_of(out_->node(), has_sub_graph)) return;
  const auto known = [&](const std::string& value) -> const onnx::TypeProto* {
    const auto found = graph_.types.find(value);
    return found == graph_.types.end() ? nullptr : &found->second;
  };
  std::unordered_set<std::string> ports;
  for (std::size_t i = 0; i < slice_.inputs.size(); ++i) {
    onnx::ValueInfoProto& port = *out_->mutable_input(static_cast<int>(i));
    ports.insert(port.name());
    auto& type = *port.mutable_type()->mutable_tensor_type();
    const onnx::TypeProto* const told = known(port.name());
    if (told != nullptr && told->tensor_type().elem_type() == type.elem_type() &&
        told->tensor_type().has_shape()) {
      *type.mutable_shape() = told->tensor_type().shape();
    } else if (slice_.inputs[i].rank) {
      type.mutable_shape();
      for (std::size_t d = 0; d < *slice_.inputs[i].rank; ++d) type.mutable_shape()->add_dim();
    }
  }
  ports.insert(slice_.outputs.begin(), slice_.outputs.end());
  for (const onnx::NodeProto& node : out_->node()) {
    for (const std::string& value : node.output()) {
      const onnx::TypeProto* const told = value.empty() || ports.contains(value) ? nullptr : known(value);
      if (told == nullptr) continue;
      onnx::ValueInfoProto& info = *out_->add_value_info();
      info.set_name(value);
      *info.mutable_type() = *told;
    }
  }
  for (onnx::ValueInfoProto& output : *out_->mutable_output()) {
    if (const onnx::TypeProto* const told = known(output.name())) *output.mutable_type() = *told;
  }
}

std::string SliceWriter::write() {
  model_.set_ir_version(graph_.model.ir_version());
  model_.set_producer_name("qvl");
  *model_.mutable_opset_import() = graph_.model.opset_import();
  *model_.mutable_functions() = graph_.model.functions();
  out_ = model_.mutable_graph();
  out_->set_name("slice");
  for (const ModelSlice::Replacement& replacement : slice_.replacements)
    replacements_.emplace(replacement.node, &replacement);
  plan_fusions();
  add_ports();
  for (const std::size_t index : slice_.nodes) {
    if (absorbed_.contains(index)) continue;
    const auto& outputs = graph_.nodes[index].outputs;
    // A node that computes a constant may be there already.
    if (std::ranges::any_of(outputs, [&](const std::string& o) { return !o.empty() && given_.contains(o); }))
      continue;
    add_node(index);
  }
  for (const std::string& output : slice_.outputs) need(output);
  tell_types();
  std::string bytes;
  if (!model_.SerializeToString(&bytes)) {
    throw MachineError(fmt::format(
        "a part of {} has constants of more than 2 GiB; store them as external data", graph_.path.string()));
  }
  return bytes;
}

std::string ModelGraph::slice(const ModelSlice& slice) const { return SliceWriter(*state_, slice).write(); }

}  // namespace qvl
