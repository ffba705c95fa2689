#include "onnx/build/graph_builder.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "core/half.h"
#include "onnx/build/graph_state.h"
#include "onnx/element_type.h"
#include "onnx/external_data.h"
#include "onnx/onnx_model.h"
#include "qvl/error.h"
#include "qvl/version.h"

namespace qvl {
namespace {

// Constants up to this size stay in the graph, where shape inference can read them.
constexpr std::size_t kInlineBytes = 1024;
// IR version 8 is the one that came with opset 17 (onnx/docs/Versioning.md).
constexpr int kIrVersion = 8;

void describe_value(onnx::ValueInfoProto* info, const Value& value, const std::string& name) {
  info->set_name(name);
  write_type(*info->mutable_type(), value.dtype, value.shape);
}

SymbolicShape symbolic(const Shape& shape) { return {shape.begin(), shape.end()}; }

}  // namespace

std::string GraphBuilder::State::describe(std::string_view op) const {
  return fmt::format("{}/{}", module, op);
}

void GraphBuilder::State::refuse(std::string_view op, const std::string& why) const {
  throw UsageError(fmt::format("graph node {}: {}", describe(op), why));
}

void GraphBuilder::State::same_dtype(std::string_view op, const Value& a, const Value& b) const {
  if (a.dtype != b.dtype) {
    refuse(op, fmt::format("operands {} and {} have the dtypes {} and {}; one dtype is needed", a.name,
                           b.name, qvl::name(a.dtype), qvl::name(b.dtype)));
  }
}

SymbolicShape GraphBuilder::State::broadcast(std::string_view op, const SymbolicShape& a,
                                             const SymbolicShape& b) const {
  const SymbolicShape& longer = a.size() >= b.size() ? a : b;
  const SymbolicShape& shorter = a.size() >= b.size() ? b : a;
  SymbolicShape result = longer;
  const std::size_t shift = longer.size() - shorter.size();
  for (std::size_t i = 0; i < shorter.size(); ++i) {
    if (longer[shift + i] == shorter[i] || shorter[i] == Dim(1)) continue;
    if (longer[shift + i] != Dim(1)) {
      refuse(op, fmt::format("shapes {} and {} do not broadcast", to_string(a), to_string(b)));
    }
    result[shift + i] = shorter[i];
  }
  return result;
}

std::size_t GraphBuilder::State::axis_of(std::string_view op, const Value& x, std::int64_t axis) const {
  const auto rank = static_cast<std::int64_t>(x.shape.size());
  if (axis < -rank || axis >= rank) {
    refuse(op, fmt::format("axis {} of {}, which has the shape {}", axis, x.name, to_string(x.shape)));
  }
  return static_cast<std::size_t>(axis < 0 ? axis + rank : axis);
}

void GraphBuilder::State::note_value(const Value& value) {
  describe_value(graph->add_value_info(), value, value.name);
  values.insert(value.name);
}

GraphBuilder::GraphBuilder(std::string graph_name) : state_(std::make_unique<State>()) {
  onnx::ModelProto& model = state_->model->model;
  model.set_ir_version(kIrVersion);
  model.set_producer_name("qvl");
  model.set_producer_version(QVL_VERSION);
  onnx::OperatorSetIdProto* opset = model.add_opset_import();
  opset->set_domain("");
  opset->set_version(kOpset);
  state_->graph = model.mutable_graph();
  state_->graph->set_name(std::move(graph_name));
}

GraphBuilder::~GraphBuilder() = default;

GraphBuilder::Module::Module(GraphBuilder& graph, std::string_view name)
    : graph_(graph), length_(graph.state_->module.size()) {
  std::string& path = graph.state_->module;
  if (!name.starts_with('/')) path += '/';
  path += name;
}

GraphBuilder::Module::~Module() { graph_.state_->module.resize(length_); }

Value GraphBuilder::input(std::string name, DType dtype, SymbolicShape shape) {
  Value value{std::move(name), dtype, std::move(shape)};
  describe_value(state_->graph->add_input(), value, value.name);
  state_->values.insert(value.name);
  return value;
}

void GraphBuilder::output(const Value& value, const std::string& name) {
  if (!state_->values.contains(value.name))
    throw UsageError(fmt::format("graph output {}: \"{}\" is no value of the graph", name, value.name));
  describe_value(state_->graph->add_output(), value, name);
  if (!state_->outputs.emplace(value.name, name).second) {
    throw UsageError(fmt::format("graph value {} is an output already", value.name));
  }
}

Value GraphBuilder::weight(const std::string& name, DType dtype, const Shape& shape) {
  const auto found = state_->initializers.find(name);
  if (found != state_->initializers.end()) {
    if (found->second.dtype != dtype || found->second.shape != symbolic(shape)) {
      throw UsageError(fmt::format("initializer {} is {} {} here and was {} {}", name, qvl::name(dtype),
                                   to_string(shape), qvl::name(found->second.dtype),
                                   to_string(found->second.shape)));
    }
    return found->second;
  }
  Value value{name, dtype, symbolic(shape)};
  const auto count = element_count(shape);
  if (!count)
    throw UsageError(fmt::format("initializer {} cannot have the shape {}", name, to_string(shape)));
  ExternalTensor external{name,
                          dtype,
                          shape,
                          state_->model->external_size_bytes,
                          static_cast<std::uint64_t>(*count) * size_bytes(dtype),
                          std::nullopt};
  onnx::TensorProto* tensor = state_->graph->add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(onnx_dtype(dtype));
  for (const std::int64_t dim : shape) tensor->add_dims(dim);
  set_external_place(*tensor,
                     {"", external.offset_bytes, external.size_bytes});  // the file: when it is saved
  const std::uint64_t end = external.offset_bytes + external.size_bytes;
  state_->model->external_size_bytes =
      (end + OnnxModel::kAlignmentBytes - 1) / OnnxModel::kAlignmentBytes * OnnxModel::kAlignmentBytes;
  state_->model->external.push_back(std::move(external));
  state_->initializers.emplace(name, value);
  state_->values.insert(name);
  return value;
}

Value GraphBuilder::constant(const std::string& name, Tensor tensor) {
  const auto found = state_->initializers.find(name);
  if (found != state_->initializers.end()) {
    if (found->second.dtype != tensor.dtype() || found->second.shape != symbolic(tensor.shape())) {
      throw UsageError(fmt::format("initializer {} is {} {} here and was {} {}", name,
                                   qvl::name(tensor.dtype()), to_string(tensor.shape()),
                                   qvl::name(found->second.dtype), to_string(found->second.shape)));
    }
    return found->second;
  }
  if (tensor.bytes().size() > kInlineBytes) {
    Value value = weight(name, tensor.dtype(), tensor.shape());
    state_->model->external.back().values = std::move(tensor);
    return value;
  }
  Value value{name, tensor.dtype(), symbolic(tensor.shape())};
  onnx::TensorProto* proto = state_->graph->add_initializer();
  proto->set_name(name);
  write_tensor(*proto, tensor);
  state_->initializers.emplace(name, value);
  state_->values.insert(name);
  return value;
}

Value GraphBuilder::scalar(float value, DType dtype) {
  if (dtype == DType::f16) {
    const Half half = to_half(value);
    return constant(fmt::format("scalar_f16_{}", value), Tensor::of<Half>(dtype, {}, std::span(&half, 1)));
  }
  if (dtype != DType::f32) throw UsageError("floating scalars are F32 or F16");
  return constant(fmt::format("scalar_f32_{}", value), Tensor::of<float>(dtype, {}, std::span(&value, 1)));
}

Value GraphBuilder::scalar(std::int64_t value) {
  return constant(fmt::format("scalar_i64_{}", value),
                  Tensor::of<std::int64_t>(DType::i64, {}, std::span(&value, 1)));
}

OnnxModel GraphBuilder::finish(std::span<const std::pair<std::string, std::string>> metadata) {
  for (const auto& [key, value] : metadata) {
    onnx::StringStringEntryProto* entry = state_->model->model.add_metadata_props();
    entry->set_key(key);
    entry->set_value(value);
  }
  // A node's result takes the output's name wherever it is used.
  const auto renamed = [&](const std::string& name) {
    const auto found = state_->outputs.find(name);
    return found == state_->outputs.end() ? name : found->second;
  };
  for (onnx::NodeProto& node : *state_->graph->mutable_node()) {
    for (std::string& name : *node.mutable_input()) name = renamed(name);
    for (std::string& name : *node.mutable_output()) name = renamed(name);
  }
  auto* infos = state_->graph->mutable_value_info();
  for (int i = infos->size() - 1; i >= 0; --i) {
    if (state_->outputs.contains(infos->Get(i).name())) infos->DeleteSubrange(i, 1);
  }
  return OnnxModel(std::move(state_->model));
}

}  // namespace qvl
