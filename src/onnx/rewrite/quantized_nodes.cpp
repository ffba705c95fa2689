// The nodes that take a quantized weight in place of the model's own.
#include <fmt/format.h>
#include <onnx/shape_inference/implementation.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "onnx/element_type.h"
#include "onnx/operator_set.h"
#include "onnx/read/model_graph_state.h"
#include "onnx/rewrite/quantized_graph_state.h"
#include "qvl/error.h"

namespace qvl {
namespace {

std::int64_t product(const Shape& shape) {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

}  // namespace

QuantizedNodes::QuantizedNodes(onnx::ModelProto& model, const std::string& source)
    : model_(model), graph_(*model.mutable_graph()), source_(source), opset_(standard_opset(model)) {
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
    if (graph_.node(i).op_type() != "Constant" || graph_.node(i).output_size() != 1) continue;
    if (const onnx::AttributeProto* const value = find_attribute(graph_.node(i), "value")) {
      types_[graph_.node(i).output(0)] = value->t().data_type();
      ranks_[graph_.node(i).output(0)] = value->t().dims_size();
    }
  }
  for (const auto& tensor : graph_.initializer()) {
    ++names_[tensor.name()];
    types_[tensor.name()] = tensor.data_type();
    ranks_[tensor.name()] = tensor.dims_size();
  }
  for (const auto& sparse : graph_.sparse_initializer()) {
    ++names_[sparse.values().name()];
    types_[sparse.values().name()] = sparse.values().data_type();
    ranks_[sparse.values().name()] = sparse.dims_size();
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

// The last node gives what the old one gave, and the one that computes it has its name.
void QuantizedNodes::name_last(Work& work) {
  work.out->back().set_output(0, work.old.output(0));
  for (onnx::NodeProto& node : *work.out) {
    const std::string& op = node.op_type();
    if (op == "MatMul" || op == "MatMulNBits" || op == "MatMulInteger" || op == "GatherBlockQuantized" ||
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
  switch (form_of(work)) {
    case Form::blocks:
      as_blocks(work);
      break;
    case Form::scaled:
      as_scaled(work);
      break;
    case Form::integers:
      as_integers(work);
      break;
    case Form::floats:
      as_floats(work);
      break;
  }
  name_last(work);
}

void QuantizedNodes::replace(const QuantizedTable& table, std::size_t number) {
  const auto maker = makers_.find(table.output);
  if (maker == makers_.end()) fail(table.output, "no node gives it");
  Work work;
  work.number = number;
  work.old = graph_.node(maker->second);
  if (work.old.op_type() != "Gather" || integer_of(work.old, "axis", 0) != 0 ||
      replaced_.contains(maker->second))
    fail(work.old.name(), "a Gather of rows is expected, once");
  work.type = type_of(work.old.input(0));
  if (work.type != kFloat && work.type != kHalf) fail(work.old.name(), "its table is neither f32 nor f16");
  work.out = &replaced_[maker->second];
  freed_operands_.push_back(work.old.input(0));
  const std::int64_t blocks = (table.depth + table.block - 1) / table.block;
  const DType scales = work.type == kHalf ? DType::f16 : DType::f32;
  if (blocks * table.block != table.depth)
    fail(work.old.name(), fmt::format("blocks of {} do not divide its rows of {}", table.block, table.depth));
  const std::string key = fmt::format("{} rows {}", table.share, name(scales));
  const auto same = shared_.find(key);
  const auto unit = shared_.find(fmt::format("{} blocks {}", table.share, name(scales)));
  using Kind = QuantizedPiece::Kind;
  const Shape shape{table.rows, table.depth * table.bits / 8};
  if (!table.share.empty() && same != shared_.end()) {
    work.stored = same->second;
  } else if (!table.share.empty() && unit != shared_.end()) {
    work.stored = unit->second;
    const std::string levels = initializer(table.weight + ".rows", Kind::blocks, DType::u8, shape, number);
    pieces_.back().twin_of = work.stored.levels;
    work.stored.levels = levels;
  } else {
    work.stored.levels = initializer(table.weight + ".rows", Kind::blocks, DType::u8, shape, number);
    work.stored.scales =
        initializer(table.weight + ".rows.scales", Kind::scales, scales, {table.rows, blocks}, number);
  }
  if (!table.share.empty()) shared_[key] = work.stored;
  onnx::NodeProto& node =
      add(work, "GatherBlockQuantized", {work.stored.levels, work.old.input(1), work.stored.scales});
  node.set_domain(kContribDomain);
  set_integer(node, "bits", table.bits);
  set_integer(node, "block_size", table.block);
  set_integer(node, "gather_axis", 0);
  set_integer(node, "quantize_axis", 1);
  uses_contrib_ = true;
  name_last(work);
}

}  // namespace qvl
