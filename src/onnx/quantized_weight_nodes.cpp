// How quantized weights lie in the graph, and the nodes that make floats of them again.
#include <fmt/format.h>

#include "onnx/quantized_graph_state.h"

namespace qvl {
namespace {

constexpr int kFloat = onnx::TensorProto::FLOAT;
constexpr std::uint8_t kZeroPoint = 128;

}  // namespace

void QuantizedNodes::store_blocks(Work& work, DType scales) {
  const QuantizedNode& unit = *work.unit;
  const std::int64_t rows = unit.matrices * unit.rows;
  const std::int64_t blocks = (unit.depth + unit.block - 1) / unit.block;
  const std::string key = unit.share.empty() ? "" : fmt::format("{} blocks {}", unit.share, name(scales));
  const auto known = shared_.find(key);
  if (!key.empty() && known != shared_.end()) {
    work.stored = known->second;
    return;
  }
  using Kind = QuantizedPiece::Kind;
  work.stored.levels = initializer(unit.weight + ".quantized", Kind::blocks, DType::u8,
                                   {rows, blocks, unit.block * unit.bits / 8}, work.number);
  work.stored.scales =
      initializer(unit.weight + ".scales", Kind::scales, scales, {rows, blocks}, work.number);
  if (!key.empty()) shared_[key] = work.stored;
}

void QuantizedNodes::store_columns(Work& work) {
  const QuantizedNode& unit = *work.unit;
  const std::string key =
      unit.share.empty() ? "" : fmt::format("{} columns {}", unit.share, work.old.op_type());
  const auto known = shared_.find(key);
  if (!key.empty() && known != shared_.end()) {
    work.stored = known->second;
    return;
  }
  using Kind = QuantizedPiece::Kind;
  const Shape shape = work.old.op_type() == "Conv" ? unit.shape : Shape{unit.depth, unit.rows};
  work.stored.levels = initializer(unit.weight + ".quantized", Kind::columns, DType::u8, shape, work.number);
  work.stored.scales =
      initializer(unit.weight + ".scales", Kind::scales, DType::f32, {unit.rows}, work.number);
  if (!key.empty()) shared_[key] = work.stored;
}

// The weight in f32 and in the node's own shape, from blocks, by operators that any opset has.
std::string QuantizedNodes::unpacked_weight(Work& work) {
  const QuantizedNode& unit = *work.unit;
  store_blocks(work, DType::f32);
  const std::int64_t rows = unit.matrices * unit.rows;
  const std::int64_t blocks = (unit.depth + unit.block - 1) / unit.block;
  std::string value = cast(work, work.stored.levels, kFloat);
  if (unit.bits == 4) {
    const std::string sixteen = number(work, "sixteen", 16);
    const std::string high =
        apply(work, "Floor", {apply(work, "Mul", {value, number(work, "part", 1.0F / 16)})});
    const std::string low = apply(work, "Sub", {value, apply(work, "Mul", {high, sixteen})});
    const std::string pairs = numbers(work, "pairs", {rows, blocks, unit.block / 2, 1});
    const std::vector<std::string> halves{apply(work, "Reshape", {low, pairs}),
                                          apply(work, "Reshape", {high, pairs})};
    set_integer(add(work, "Concat", halves), "axis", 3);
    value = apply(work, "Reshape", {result(work), numbers(work, "blocks", {rows, blocks, unit.block})});
  }
  value = apply(work, "Sub", {value, number(work, "middle", static_cast<float>(1 << (unit.bits - 1)))});
  const std::string scales =
      apply(work, "Reshape", {work.stored.scales, numbers(work, "scales_shape", {rows, blocks, 1})});
  value = apply(work, "Mul", {value, scales});
  value = apply(work, "Reshape", {value, numbers(work, "padded", {rows, blocks * unit.block})});
  if (blocks * unit.block != unit.depth) {
    value = apply(
        work, "Slice",
        {value, numbers(work, "from", {0}), numbers(work, "to", {unit.depth}), numbers(work, "axis", {1})});
  }
  if (work.old.op_type() == "Conv" || unit.shape.size() == 1)
    return apply(work, "Reshape", {value, numbers(work, "shape", unit.shape)});
  value = apply(work, "Reshape", {value, numbers(work, "stacked", {unit.matrices, unit.rows, unit.depth})});
  onnx::NodeProto& turn = add(work, "Transpose", {value});
  onnx::AttributeProto& permutation = *turn.add_attribute();
  permutation.set_name("perm");
  permutation.set_type(onnx::AttributeProto::INTS);
  for (const int axis : {0, 2, 1}) permutation.add_ints(axis);
  Shape shape = unit.shape;
  shape[shape.size() - 2] = unit.depth;
  shape[shape.size() - 1] = unit.rows;
  return apply(work, "Reshape", {result(work), numbers(work, "shape", shape)});
}

// The weight in f32 by DequantizeLinear with a scale for each output channel.
std::string QuantizedNodes::weight_from_columns(Work& work) {
  const bool conv = work.old.op_type() == "Conv";
  store_columns(work);
  const std::string zero_point =
      constant(work.old.name() + "/weight_zero_point",
               tensor_of(onnx::TensorProto::UINT8, {work.unit->rows},
                         std::vector<std::uint8_t>(static_cast<std::size_t>(work.unit->rows), kZeroPoint)));
  set_integer(add(work, "DequantizeLinear", {work.stored.levels, work.stored.scales, zero_point}, "weight"),
              "axis", conv ? 0 : 1);
  return result(work);
}

}  // namespace qvl
