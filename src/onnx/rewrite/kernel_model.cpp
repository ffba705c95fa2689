#include "onnx/rewrite/kernel_model.h"

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/dtype.h"
#include "onnx/external_data.h"
#include "onnx/model_state.h"
#include "qvl/error.h"

namespace qvl {
namespace {

using Dims = std::vector<std::int64_t>;

constexpr const char* kData = "kernel.data";  // is never written

Dims weight_dims(const KernelSpec& spec) {
  if (spec.conv) return {spec.rows, spec.depth, 1, 1};
  if (spec.matrices > 1) return {spec.matrices, spec.depth, spec.rows};
  return {spec.depth, spec.rows};
}

void add_port(onnx::ValueInfoProto& info, const std::string& name, const Dims& dims) {
  info.set_name(name);
  auto& type = *info.mutable_type()->mutable_tensor_type();
  type.set_elem_type(onnx::TensorProto::FLOAT);
  for (const std::int64_t dim : dims) type.mutable_shape()->add_dim()->set_dim_value(dim);
}

// The op in f32. Its weight has no bytes yet.
onnx::ModelProto plain_model(const KernelSpec& spec) {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(17);
  onnx::GraphProto& graph = *model.mutable_graph();
  graph.set_name(std::string("kernel"));
  onnx::TensorProto& weight = *graph.add_initializer();
  weight.set_name(std::string("w"));
  weight.set_data_type(onnx::TensorProto::FLOAT);
  for (const std::int64_t dim : weight_dims(spec)) weight.add_dims(dim);
  set_external_place(weight, {kData, 0, std::nullopt});
  onnx::NodeProto& node = *graph.add_node();
  node.set_op_type(std::string(spec.conv ? "Conv" : "MatMul"));
  node.set_name(std::string("kernel"));
  node.add_input(std::string("x"));
  node.add_input(std::string("w"));
  node.add_output(std::string("y"));
  if (spec.conv) {
    add_port(*graph.add_input(), "x", {1, spec.depth, 1, spec.activations});
    add_port(*graph.add_output(), "y", {1, spec.rows, 1, spec.activations});
  } else {
    add_port(*graph.add_input(), "x", {spec.matrices, spec.activations, spec.depth});
    add_port(*graph.add_output(), "y", {spec.matrices, spec.activations, spec.rows});
  }
  return model;
}

// What lies outside becomes zeros inside.
void fill(onnx::GraphProto& graph) {
  for (onnx::TensorProto& tensor : *graph.mutable_initializer()) {
    if (!is_external(tensor)) continue;
    std::uint64_t bytes = size_bytes(DType::f32);  // what is stored quantized says its own length
    for (const std::int64_t dim : tensor.dims()) bytes *= static_cast<std::uint64_t>(dim);
    bytes = external_place(tensor, "kernel").length_bytes.value_or(bytes);
    tensor.clear_external_data();
    tensor.set_data_location(onnx::TensorProto::DEFAULT);
    tensor.mutable_raw_data()->assign(bytes, '\0');
  }
}

}  // namespace

std::string kernel_model(const KernelSpec& spec) {
  constexpr std::int64_t kMostElements = std::int64_t{1} << 28U;  // 1 GiB in f32: protobuf takes 2
  if (spec.depth < 1 || spec.rows < 1 || spec.activations < 1 || spec.matrices < 1 ||
      spec.matrices > kMostElements || spec.depth > kMostElements / spec.matrices ||
      spec.rows > kMostElements / (spec.matrices * spec.depth)) {
    throw UsageError(fmt::format("a kernel of {} x {} x {} weights; 1 to {} are expected", spec.matrices,
                                 spec.depth, spec.rows, kMostElements));
  }
  onnx::ModelProto model = plain_model(spec);
  if (spec.quantized) {
    QuantizedNode node = *spec.quantized;
    node.output = std::string("y");
    node.weight = std::string("w");
    node.shape = weight_dims(spec);
    node.matrices = spec.matrices;
    node.rows = spec.rows;
    node.depth = spec.depth;
    auto plain = std::make_unique<ParsedModel::State>();
    plain->path = "kernel";
    plain->model = std::move(model);
    const QuantizedGraph graph(ParsedModel(std::move(plain)), std::vector<QuantizedNode>{node}, {}, {});
    const std::string made = graph.serialize(kData);
    model = std::move(ParsedModel(std::as_bytes(std::span(made)), "kernel").state().model);
  }
  fill(*model.mutable_graph());
  return model.SerializeAsString();
}

}  // namespace qvl
