#include "onnx/kernel_model.h"

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <vector>

#include "core/dtype.h"
#include "qvl/error.h"

namespace qvl {
namespace {

using Names = std::vector<std::string>;
using Dims = std::vector<std::int64_t>;

class KernelWriter {
 public:
  explicit KernelWriter(const KernelSpec& spec) : spec_(spec) {
    model_.set_ir_version(8);
    model_.add_opset_import()->set_version(17);
    if (spec.kind == KernelKind::blocks) {
      onnx::OperatorSetIdProto& own = *model_.add_opset_import();
      own.set_domain("com.microsoft");
      own.set_version(1);
    }
    graph_ = model_.mutable_graph();
    graph_->set_name("kernel");
  }

  std::string write();

 private:
  onnx::NodeProto& node(const std::string& op, const Names& inputs, const Names& outputs);
  void zeros(const std::string& name, onnx::TensorProto::DataType type, const Dims& dims, std::int64_t bytes);
  void ones(const std::string& name, const Dims& dims);
  void port(onnx::ValueInfoProto& info, const std::string& name, const Dims& dims);
  [[nodiscard]] Dims weight_dims() const;
  void write_plain();
  void write_blocks();
  void write_dynamic();
  void write_fixed();
  [[nodiscard]] std::string op() const { return spec_.conv ? "Conv" : "MatMul"; }
  [[nodiscard]] std::int64_t elements() const { return spec_.matrices * spec_.depth * spec_.rows; }

  const KernelSpec& spec_;
  onnx::ModelProto model_;
  onnx::GraphProto* graph_ = nullptr;
};

onnx::NodeProto& KernelWriter::node(const std::string& op, const Names& inputs, const Names& outputs) {
  onnx::NodeProto& made = *graph_->add_node();
  made.set_op_type(op);
  for (const std::string& input : inputs) made.add_input(input);
  for (const std::string& output : outputs) made.add_output(output);
  return made;
}

void set_int(onnx::NodeProto& node, const char* name, std::int64_t value) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::INT);
  attribute.set_i(value);
}

void KernelWriter::zeros(const std::string& name, onnx::TensorProto::DataType type, const Dims& dims,
                         std::int64_t bytes) {
  onnx::TensorProto& tensor = *graph_->add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(type);
  for (const std::int64_t dim : dims) tensor.add_dims(dim);
  tensor.mutable_raw_data()->resize(static_cast<std::size_t>(bytes));
}

void KernelWriter::ones(const std::string& name, const Dims& dims) {
  onnx::TensorProto& tensor = *graph_->add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  std::int64_t count = 1;
  for (const std::int64_t dim : dims) {
    tensor.add_dims(dim);
    count *= dim;
  }
  for (std::int64_t i = 0; i < count; ++i) tensor.add_float_data(1);
}

void KernelWriter::port(onnx::ValueInfoProto& info, const std::string& name, const Dims& dims) {
  info.set_name(name);
  auto& type = *info.mutable_type()->mutable_tensor_type();
  type.set_elem_type(onnx::TensorProto::FLOAT);
  for (const std::int64_t dim : dims) type.mutable_shape()->add_dim()->set_dim_value(dim);
}

Dims KernelWriter::weight_dims() const {
  if (spec_.conv) return {spec_.rows, spec_.depth, 1, 1};
  if (spec_.matrices > 1) return {spec_.matrices, spec_.depth, spec_.rows};
  return {spec_.depth, spec_.rows};
}

void KernelWriter::write_plain() {
  zeros("w", onnx::TensorProto::FLOAT, weight_dims(), 4 * elements());
  node(op(), {"x", "w"}, {"y"});
}

void KernelWriter::write_blocks() {
  const std::int64_t blocks = (spec_.depth + spec_.block - 1) / spec_.block;
  const std::int64_t bytes = spec_.block * spec_.bits / 8;
  zeros("w", onnx::TensorProto::UINT8, {spec_.rows, blocks, bytes}, spec_.rows * blocks * bytes);
  ones("scales", {spec_.rows * blocks});
  onnx::NodeProto& product = node("MatMulNBits", {"x", "w", "scales"}, {"y"});
  product.set_domain("com.microsoft");
  set_int(product, "K", spec_.depth);
  set_int(product, "N", spec_.rows);
  set_int(product, "bits", spec_.bits);
  set_int(product, "block_size", spec_.block);
  set_int(product, "accuracy_level", 0);
}

void KernelWriter::write_dynamic() {
  zeros("w", onnx::TensorProto::INT8, weight_dims(), elements());
  if (spec_.conv) {
    ones("scale", {1, spec_.rows, 1, 1});
  } else if (spec_.matrices > 1) {
    ones("scale", {spec_.matrices, 1, spec_.rows});
  } else {
    ones("scale", {spec_.rows});
  }
  node("DynamicQuantizeLinear", {"x"}, {"xq", "x_scale", "x_zero"});
  node(op() + "Integer", {"xq", "w", "x_zero"}, {"sum"});
  set_int(node("Cast", {"sum"}, {"sum_f32"}), "to", onnx::TensorProto::FLOAT);
  node("Mul", {"x_scale", "scale"}, {"scales"});
  node("Mul", {"sum_f32", "scales"}, {"y"});
}

void KernelWriter::write_fixed() {
  ones("x_scale", {});
  zeros("x_zero", onnx::TensorProto::UINT8, {}, 1);
  node("QuantizeLinear", {"x", "x_scale", "x_zero"}, {"xq"});
  node("DequantizeLinear", {"xq", "x_scale", "x_zero"}, {"xd"});
  zeros("w", onnx::TensorProto::INT8, weight_dims(), elements());
  ones("scale", {spec_.rows});
  set_int(node("DequantizeLinear", {"w", "scale"}, {"wd"}), "axis",
          spec_.conv ? 0 : static_cast<std::int64_t>(weight_dims().size()) - 1);
  node(op(), {"xd", "wd"}, {"y"});
}

std::string KernelWriter::write() {
  switch (spec_.kind) {
    case KernelKind::plain:
      write_plain();
      break;
    case KernelKind::blocks:
      write_blocks();
      break;
    case KernelKind::dynamic:
      write_dynamic();
      break;
    case KernelKind::fixed:
      write_fixed();
      break;
  }
  if (spec_.conv) {
    port(*graph_->add_input(), "x", {1, spec_.depth, 1, spec_.activations});
    port(*graph_->add_output(), "y", {1, spec_.rows, 1, spec_.activations});
  } else {
    port(*graph_->add_input(), "x", {spec_.matrices, spec_.activations, spec_.depth});
    port(*graph_->add_output(), "y", {spec_.matrices, spec_.activations, spec_.rows});
  }
  return model_.SerializeAsString();
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
  if (spec.kind == KernelKind::blocks && (spec.conv || spec.matrices > 1))
    throw UsageError("MatMulNBits takes one matrix of a MatMul");
  return KernelWriter(spec).write();
}

}  // namespace qvl
