// The nodes that take a quantized weight in place of the model's own.
#include <fmt/format.h>
#include <onnx/shape_inference/implementation.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "onnx/model_graph_state.h"
#include "onnx/quantized_graph_state.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr const char* kContrib = "com.microsoft";
constexpr std::int64_t kPerAxisOpset = 13;  // of DequantizeLinear
constexpr int kFloat = onnx::TensorProto::FLOAT;
constexpr int kHalf = onnx::TensorProto::FLOAT16;
constexpr int kZeroPoint = 128;

const onnx::AttributeProto* find(const onnx::NodeProto& node, const std::string& name) {
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (attribute.name() == name) return &attribute;
  }
  return nullptr;
}

std::int64_t integer(const onnx::NodeProto& node, const std::string& name, std::int64_t missing) {
  const onnx::AttributeProto* found = find(node, name);
  return found == nullptr ? missing : found->i();
}

float real(const onnx::NodeProto& node, const std::string& name, float missing) {
  const onnx::AttributeProto* found = find(node, name);
  return found == nullptr ? missing : found->f();
}

std::int64_t product(const Shape& shape) {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

}  // namespace

QuantizedNodes::QuantizedNodes(onnx::ModelProto& model, const std::string& source)
    : model_(model), graph_(*model.mutable_graph()), source_(source) {
  for (const onnx::OperatorSetIdProto& set : model_.opset_import()) {
    if (set.domain().empty() || set.domain() == "ai.onnx") opset_ = set.version();
  }
  index_graph();
}

void QuantizedNodes::fail(const std::string& node, const std::string& why) const {
  throw InputError(fmt::format("{}: {} cannot be quantized: {}", source_, node, why));
}

void QuantizedNodes::index_graph() {
  for (int i = 0; i < graph_.node_size(); ++i) {
    for (const std::string& output : graph_.node(i).output()) {
      makers_.emplace(output, i);
      ++names_[output];
    }
    ++names_[graph_.node(i).name()];
  }
  for (const auto& tensor : graph_.initializer()) {
    ++names_[tensor.name()];
    types_[tensor.name()] = tensor.data_type();
    ranks_[tensor.name()] = tensor.dims_size();
  }
  for (const auto* values : {&graph_.input(), &graph_.output(), &graph_.value_info()}) {
    for (const onnx::ValueInfoProto& value : *values) {
      ++names_[value.name()];
      types_.emplace(value.name(), value.type().tensor_type().elem_type());
      if (value.type().tensor_type().has_shape())
        ranks_.emplace(value.name(), value.type().tensor_type().shape().dim_size());
    }
  }
}

// Once, and only for graphs that do not say it themselves.
void QuantizedNodes::infer_types() {
  if (inferred_) return;
  inferred_ = true;
  onnx::ModelProto copy = model_;
  try {
    onnx::shape_inference::InferShapes(copy);
  } catch (const std::exception&) {
    return;  // what is not known then is reported where it is needed
  }
  for (const onnx::ValueInfoProto& value : copy.graph().value_info()) {
    types_.emplace(value.name(), value.type().tensor_type().elem_type());
    if (value.type().tensor_type().has_shape())
      ranks_.emplace(value.name(), value.type().tensor_type().shape().dim_size());
  }
}

int QuantizedNodes::type_of(const std::string& value) {
  if (!types_.contains(value)) infer_types();
  const auto found = types_.find(value);
  return found == types_.end() ? 0 : found->second;
}

int QuantizedNodes::rank_of(const std::string& value) {
  if (!ranks_.contains(value)) infer_types();
  const auto found = ranks_.find(value);
  return found == ranks_.end() ? -1 : found->second;
}

std::string QuantizedNodes::fresh(const std::string& name) {
  std::string candidate = name;
  for (int i = 2; names_.contains(candidate); ++i) candidate = fmt::format("{}_{}", name, i);
  ++names_[candidate];
  return candidate;
}

std::string QuantizedNodes::initializer(const std::string& name, QuantizedPiece::Kind kind, DType dtype,
                                        Shape shape, std::size_t unit) {
  QuantizedPiece piece;
  piece.kind = kind;
  piece.name = fresh(name);
  piece.dtype = dtype;
  piece.size_bytes = static_cast<std::uint64_t>(product(shape)) * size_bytes(dtype);
  piece.shape = std::move(shape);
  piece.unit = unit;
  pieces_.push_back(piece);
  return piece.name;
}

std::string QuantizedNodes::constant(const std::string& name, onnx::TensorProto tensor) {
  tensor.set_name(fresh(name));
  *graph_.add_initializer() = tensor;
  return tensor.name();
}

std::string QuantizedNodes::numbers(Work& work, const std::string& name,
                                    const std::vector<std::int64_t>& values) {
  return constant(work.old.name() + "/" + name,
                  tensor_of(onnx::TensorProto::INT64, {static_cast<std::int64_t>(values.size())}, values));
}

std::string QuantizedNodes::number(Work& work, const std::string& name, float value) {
  return constant(work.old.name() + "/" + name,
                  tensor_of(onnx::TensorProto::FLOAT, {}, std::vector<float>{value}));
}

onnx::NodeProto& QuantizedNodes::add(Work& work, const std::string& op,
                                     const std::vector<std::string>& inputs, const std::string& name) {
  onnx::NodeProto& node = work.out->emplace_back();
  node.set_op_type(op);
  node.set_name(fresh(fmt::format("{}/{}", work.old.name().empty() ? work.old.output(0) : work.old.name(),
                                  name.empty() ? op : name)));
  for (const std::string& input : inputs) node.add_input(input);
  node.add_output(fresh(node.name() + "_output"));
  return node;
}

std::string QuantizedNodes::apply(Work& work, const std::string& op, const std::vector<std::string>& inputs) {
  return add(work, op, inputs).output(0);
}

std::string QuantizedNodes::cast(Work& work, const std::string& value, int type) {
  set_integer(add(work, "Cast", {value}), "to", type);
  return result(work);
}

// Whether MatMulNBits can take it.
bool QuantizedNodes::takes_blocks(const Work& work) {
  const QuantizedNode& unit = *work.unit;
  if (unit.activations != QuantizedNode::Activations::kept || work.old.op_type() == "Conv") return false;
  return unit.shape.size() == 2 && rank_of(work.old.input(0)) != 1;
}

// Whether MatMulInteger or ConvInteger can.
bool QuantizedNodes::takes_integers(const Work& work) const {
  return work.unit->activations == QuantizedNode::Activations::dynamic &&
         (work.old.op_type() == "Conv" || work.unit->shape.size() == 2);
}

std::string QuantizedNodes::smoothed(Work& work, const std::string& operand) {
  if (!work.unit->smoothed) return operand;
  const std::string vector = initializer(work.unit->weight + ".smoothing", QuantizedPiece::Kind::smoothing,
                                         DType::f32, {work.unit->depth}, work.number);
  return apply(work, "Mul", {operand, vector});
}

// A, with its rows as the weight wants them: Gemm may have it transposed.
std::string QuantizedNodes::matrix_operand(Work& work) {
  const std::string operand = work.old.input(0);
  if (work.old.op_type() != "Gemm" || integer(work.old, "transA", 0) == 0) return operand;
  onnx::NodeProto& node = add(work, "Transpose", {operand});
  onnx::AttributeProto& permutation = *node.add_attribute();
  permutation.set_name("perm");
  permutation.set_type(onnx::AttributeProto::INTS);
  permutation.add_ints(1);
  permutation.add_ints(0);
  return result(work);
}

// What a Gemm does behind its product, and the type of the old node's output.
void QuantizedNodes::finish_product(Work& work, std::string value, int type) {
  const bool gemm = work.old.op_type() == "Gemm";
  const auto scaled = [&](const std::string& what, const char* attribute) {
    const float factor = real(work.old, attribute, 1.0F);
    if (factor == 1.0F) return what;
    std::string operand = number(work, attribute, factor);
    if (type != kFloat) operand = cast(work, operand, type);
    return apply(work, "Mul", {what, operand});
  };
  if (gemm) {
    value = scaled(value, "alpha");
    if (work.old.input_size() > 2 && !work.old.input(2).empty()) {
      std::string bias = work.old.input(2);
      if (type != work.type) bias = cast(work, bias, type);
      value = apply(work, "Add", {value, scaled(bias, "beta")});
    }
  }
  if (type != work.type) (void)cast(work, value, work.type);
}

void QuantizedNodes::as_blocks(Work& work) {
  const QuantizedNode& unit = *work.unit;
  // In f16 as the rest of the graph; other types go through f32.
  const int type = work.type == kHalf ? kHalf : kFloat;
  store_blocks(work, type == kHalf ? DType::f16 : DType::f32);
  std::string operand = matrix_operand(work);
  if (work.type != type) operand = cast(work, operand, type);
  onnx::NodeProto& node = add(work, "MatMulNBits", {operand, work.stored.levels, work.stored.scales});
  node.set_domain(kContrib);
  set_integer(node, "K", unit.depth);
  set_integer(node, "N", unit.rows);
  set_integer(node, "bits", unit.bits);
  set_integer(node, "block_size", unit.block);
  if (unit.accuracy_level != 0) set_integer(node, "accuracy_level", unit.accuracy_level);
  uses_contrib_ = true;
  finish_product(work, result(work), type);
}

// DynamicQuantizeLinear, and the product of integers with both scales.
void QuantizedNodes::as_integers(Work& work) {
  const bool conv = work.old.op_type() == "Conv";
  store_columns(work);
  std::string operand = conv ? work.old.input(0) : matrix_operand(work);
  if (work.type != kFloat) operand = cast(work, operand, kFloat);
  operand = smoothed(work, operand);
  onnx::NodeProto& quantize = add(work, "DynamicQuantizeLinear", {operand});
  const std::string code = quantize.output(0);
  const std::string scale = fresh(code + "/scale");
  const std::string zero_point = fresh(code + "/zero_point");
  quantize.add_output(scale);
  quantize.add_output(zero_point);
  const std::string weight_zero =
      constant(work.old.name() + "/zero_point",
               tensor_of(onnx::TensorProto::UINT8, {}, std::vector<std::uint8_t>{kZeroPoint}));
  onnx::NodeProto& node =
      add(work, conv ? "ConvInteger" : "MatMulInteger", {code, work.stored.levels, zero_point, weight_zero});
  if (conv) *node.mutable_attribute() = work.old.attribute();
  const std::string integers = cast(work, result(work), kFloat);
  std::string weight_scale = work.stored.scales;
  Shape channels{1, work.unit->rows};
  channels.resize(std::max<std::size_t>(2, work.unit->shape.size()), 1);
  if (conv) weight_scale = apply(work, "Reshape", {weight_scale, numbers(work, "channels", channels)});
  const std::string scales = apply(work, "Mul", {scale, weight_scale});
  std::string value = apply(work, "Mul", {integers, scales});
  if (conv && work.old.input_size() > 2 && !work.old.input(2).empty()) {
    std::string bias = work.old.input(2);
    if (work.type != kFloat) bias = cast(work, bias, kFloat);
    bias = apply(work, "Reshape", {bias, numbers(work, "channels", channels)});
    value = apply(work, "Add", {value, bias});
  }
  finish_product(work, value, kFloat);
}

std::string QuantizedNodes::rounded_operand(Work& work, std::string operand) {
  using Activations = QuantizedNode::Activations;
  const QuantizedNode& unit = *work.unit;
  if (unit.activations == Activations::kept) return operand;
  operand = smoothed(work, operand);
  std::string scale;
  std::string zero_point;
  if (unit.activations == Activations::dynamic) {
    onnx::NodeProto& quantize = add(work, "DynamicQuantizeLinear", {operand});
    operand = quantize.output(0);
    scale = fresh(operand + "/scale");
    zero_point = fresh(operand + "/zero_point");
    quantize.add_output(scale);
    quantize.add_output(zero_point);
  } else {
    scale = number(work, "scale", unit.range_scale);
    zero_point =
        constant(work.old.name() + "/zero_point",
                 tensor_of(onnx::TensorProto::UINT8, {}, std::vector<std::uint8_t>{unit.range_zero_point}));
    operand = apply(work, "QuantizeLinear", {operand, scale, zero_point});
  }
  return apply(work, "DequantizeLinear", {operand, scale, zero_point});
}

// The node itself with operands that went through integers and back.
void QuantizedNodes::as_floats(Work& work) {
  using Activations = QuantizedNode::Activations;
  const bool kept = work.unit->activations == Activations::kept;
  const bool columns =
      !kept && opset_ >= kPerAxisOpset && (work.old.op_type() == "Conv" || work.unit->shape.size() == 2);
  std::string weight = columns ? weight_from_columns(work) : unpacked_weight(work);
  const int type = kept ? work.type : kFloat;
  if (type != kFloat) weight = cast(work, weight, type);
  std::string operand = work.unit->smoothed ? matrix_operand(work) : work.old.input(0);
  if (type != work.type) operand = cast(work, operand, kFloat);
  operand = rounded_operand(work, operand);
  std::vector<std::string> inputs{operand, weight};
  for (int i = 2; i < work.old.input_size(); ++i) {
    inputs.push_back(work.old.input(i));
    if (type != work.type && !inputs.back().empty()) inputs.back() = cast(work, inputs.back(), kFloat);
  }
  onnx::NodeProto& node = add(work, work.old.op_type(), inputs);
  for (const onnx::AttributeProto& attribute : work.old.attribute()) {
    if (attribute.name() == "transB" || (attribute.name() == "transA" && work.unit->smoothed)) continue;
    *node.add_attribute() = attribute;
  }
  if (type != work.type) (void)cast(work, result(work), work.type);
}

// The last node gives what the old one gave, and the one that computes it has its name.
void QuantizedNodes::name_last(Work& work) {
  work.out->back().set_output(0, work.old.output(0));
  for (onnx::NodeProto& node : *work.out) {
    const std::string& op = node.op_type();
    if (op == "MatMulNBits" || op == "MatMulInteger" || op == "ConvInteger" || op == "GatherBlockQuantized" ||
        op == work.old.op_type())
      node.set_name(work.old.name());
  }
}

void QuantizedNodes::replace(const QuantizedNode& unit, std::size_t number) {
  const auto maker = makers_.find(unit.output);
  if (maker == makers_.end()) fail(unit.output, "no node gives it");
  Work work;
  work.unit = &unit;
  work.number = number;
  work.old = graph_.node(maker->second);
  const std::string& op = work.old.op_type();
  const bool known = op == "MatMul" || op == "Gemm" || op == "Conv";
  if (!known || work.old.input_size() < 2 || replaced_.contains(maker->second))
    fail(work.old.name(), "a MatMul, Gemm or Conv is expected, once");
  if (unit.matrices * unit.rows * unit.depth != product(unit.shape) || unit.depth < 1 || unit.rows < 1)
    fail(work.old.name(), "its weight " + to_string(unit.shape) + " does not have the rows that it should");
  if (unit.smoothed && op == "Conv") fail(work.old.name(), "smoothing is for MatMul and Gemm");
  work.type = type_of(work.old.input(1));
  if (work.type == 0) work.type = type_of(work.old.input(0));
  if (work.type != kFloat && !is_half(work.type))
    fail(work.old.name(), "the type of its operands is not known");
  work.out = &replaced_[maker->second];
  freed_operands_.push_back(work.old.input(1));
  if (takes_blocks(work)) {
    as_blocks(work);
  } else if (takes_integers(work)) {
    as_integers(work);
  } else {
    as_floats(work);
  }
  name_last(work);
}

void QuantizedNodes::replace(const QuantizedTable& table, std::size_t number) {
  const auto maker = makers_.find(table.output);
  if (maker == makers_.end()) fail(table.output, "no node gives it");
  Work work;
  work.number = number;
  work.old = graph_.node(maker->second);
  if (work.old.op_type() != "Gather" || integer(work.old, "axis", 0) != 0 ||
      replaced_.contains(maker->second))
    fail(work.old.name(), "a Gather of rows is expected, once");
  work.type = type_of(work.old.input(0));
  if (work.type != kFloat && work.type != kHalf) fail(work.old.name(), "its table is neither f32 nor f16");
  work.out = &replaced_[maker->second];
  freed_operands_.push_back(work.old.input(0));
  const std::int64_t blocks = (table.depth + table.block - 1) / table.block;
  const DType scales = work.type == kHalf ? DType::f16 : DType::f32;
  const std::string key = fmt::format("{} blocks {}", table.share, name(scales));
  const auto known = shared_.find(key);
  using Kind = QuantizedPiece::Kind;
  const Shape shape{table.rows, table.depth * table.bits / 8};
  if (!table.share.empty() && known != shared_.end() && blocks * table.block == table.depth) {
    work.stored = known->second;
    const std::string levels = initializer(table.weight + ".rows", Kind::blocks, DType::u8, shape, number);
    pieces_.back().twin_of = work.stored.levels;
    work.stored.levels = levels;
  } else {
    if (blocks * table.block != table.depth)
      fail(work.old.name(),
           fmt::format("blocks of {} do not divide its rows of {}", table.block, table.depth));
    work.stored.levels = initializer(table.weight + ".rows", Kind::blocks, DType::u8, shape, number);
    work.stored.scales =
        initializer(table.weight + ".rows.scales", Kind::scales, scales, {table.rows, blocks}, number);
  }
  onnx::NodeProto& node =
      add(work, "GatherBlockQuantized", {work.stored.levels, work.old.input(1), work.stored.scales});
  node.set_domain(kContrib);
  set_integer(node, "bits", table.bits);
  set_integer(node, "block_size", table.block);
  set_integer(node, "gather_axis", 0);
  set_integer(node, "quantize_axis", 1);
  uses_contrib_ = true;
  name_last(work);
}

}  // namespace qvl
