// What a unit becomes. Measured with ONNX Runtime (docs/quantize.md has the table):
//
//   MatMulNBits of 4 bits    faster than f32 for one row, as fast for many.
//   MatMulNBits of 8 bits    unpacks the whole weight in every run where it computes in f32: taken only where
//                            an accuracy level asks for it. Else the weight is unpacked once, by Cast and
//                            Mul, which are folded. Each of them leaves an f32 copy of the weight in memory,
//                            so that a deep product, beside which a scaling costs nothing, has its scales
//                            behind it and only the Cast.
//   MatMulInteger            as fast as f32 or faster.
//   ConvInteger              up to four times slower than a Conv in f32: the codes are made floats instead.
//   DequantizeLinear         before a product it is taken for part of it: with a weight behind it MatMulNBits
//                            with rounded activations, QLinearConv or a product unpacked in every run; with a
//                            weight in f32 that weight is rounded once more. Cast and Sub mean what they say.
#include <fmt/format.h>

#include <algorithm>

#include "onnx/operator_set.h"
#include "onnx/rewrite/quantized_graph_state.h"

namespace qvl {
namespace {

constexpr std::uint8_t kZeroPoint = 128;
// From which scales behind the product cost less than a hundredth of it.
constexpr std::int64_t kDeep = 1024;

float real_of(const onnx::NodeProto& node, const std::string& name, float missing) {
  const onnx::AttributeProto* found = find_attribute(node, name);
  return found == nullptr ? missing : found->f();
}

}  // namespace

void QuantizedNodes::expect(std::span<const QuantizedTable> tables) {
  for (const QuantizedTable& table : tables) {
    if (!table.share.empty()) shared_with_tables_.insert(table.share);
  }
}

QuantizedNodes::Form QuantizedNodes::form_of(const Work& work) {
  const QuantizedNode& unit = *work.unit;
  const bool matrix = work.old.op_type() != "Conv" && unit.shape.size() == 2;
  if (!matrix) return Form::floats;
  if (unit.activations != QuantizedNode::Activations::kept) return Form::integers;
  if (unit.bits == 4 || unit.accuracy_level > 0)
    return rank_of(work.old.input(0)) == 1 ? Form::floats : Form::blocks;
  const bool as_table = shared_with_tables_.contains(unit.share);
  return unit.group == 0 && unit.depth >= kDeep && !as_table ? Form::scaled : Form::floats;
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
  if (work.old.op_type() != "Gemm" || integer_of(work.old, "transA", 0) == 0) return operand;
  set_integers(add(work, "Transpose", {operand}), "perm", {1, 0});
  return result(work);
}

// Of a Gemm that has one; `value` may be the scales, where they are multiplied by anyway.
std::string QuantizedNodes::times_alpha(Work& work, const std::string& value, int type) {
  const float alpha = work.old.op_type() == "Gemm" ? real_of(work.old, "alpha", 1.0F) : 1.0F;
  if (alpha == 1.0F) return value;
  std::string factor = number(work, "alpha", alpha);
  if (type != kFloat) factor = cast(work, factor, type);
  return apply(work, "Mul", {value, factor});
}

// What a Gemm adds behind its product, and the type of the old node's output.
void QuantizedNodes::finish_product(Work& work, std::string value, int type) {
  if (work.old.op_type() == "Gemm" && work.old.input_size() > 2 && !work.old.input(2).empty()) {
    std::string bias = work.old.input(2);
    if (type != work.type) bias = cast(work, bias, type);
    const float beta = real_of(work.old, "beta", 1.0F);
    if (beta != 1.0F) {
      std::string factor = number(work, "beta", beta);
      if (type != kFloat) factor = cast(work, factor, type);
      bias = apply(work, "Mul", {bias, factor});
    }
    value = apply(work, "Add", {value, bias});
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
  node.set_domain(kContribDomain);
  set_integer(node, "K", unit.depth);
  set_integer(node, "N", unit.rows);
  set_integer(node, "bits", unit.bits);
  set_integer(node, "block_size", unit.block);
  if (unit.accuracy_level != 0) set_integer(node, "accuracy_level", unit.accuracy_level);
  uses_contrib_ = true;
  finish_product(work, times_alpha(work, result(work), type), type);
}

// The product with the levels in f32, then the scales.
void QuantizedNodes::as_scaled(Work& work) {
  store_levels(work, DType::i8);
  count_unpacked(work, 1);
  std::string operand = matrix_operand(work);
  if (work.type != kFloat) operand = cast(work, operand, kFloat);
  const std::string levels = cast(work, work.stored.levels, kFloat);
  const std::string sums = apply(work, "MatMul", {operand, levels});
  const std::string scales = times_alpha(work, work.stored.scales, kFloat);
  finish_product(work, apply(work, "Mul", {sums, scales}), kFloat);
}

// The operand in 8 bits, and what makes numbers of them again.
std::string QuantizedNodes::codes_of(Work& work, const std::string& operand, std::string& scale,
                                     std::string& zero_point) {
  const QuantizedNode& unit = *work.unit;
  if (unit.activations == QuantizedNode::Activations::dynamic) {
    onnx::NodeProto& quantize = add(work, "DynamicQuantizeLinear", {operand});
    const std::string codes = quantize.output(0);
    scale = fresh(codes + "/scale");
    zero_point = fresh(codes + "/zero_point");
    quantize.add_output(scale);
    quantize.add_output(zero_point);
    return codes;
  }
  scale = number(work, "scale", unit.range_scale);
  zero_point =
      constant(work.old.name() + "/zero_point",
               tensor_of(onnx::TensorProto::UINT8, {}, std::vector<std::uint8_t>{unit.range_zero_point}));
  return apply(work, "QuantizeLinear", {operand, scale, zero_point});
}

// The product of integers, then both scales.
void QuantizedNodes::as_integers(Work& work) {
  store_levels(work, DType::u8);
  std::string operand = matrix_operand(work);
  if (work.type != kFloat) operand = cast(work, operand, kFloat);
  std::string scale;
  std::string zero_point;
  const std::string codes = codes_of(work, smoothed(work, operand), scale, zero_point);
  const std::string weight_zero =
      constant(work.old.name() + "/weight_zero_point",
               tensor_of(onnx::TensorProto::UINT8, {}, std::vector<std::uint8_t>{kZeroPoint}));
  const std::string sums = apply(work, "MatMulInteger", {codes, work.stored.levels, zero_point, weight_zero});
  const std::string integers = cast(work, sums, kFloat);
  const std::string scales = apply(work, "Mul", {scale, times_alpha(work, work.stored.scales, kFloat)});
  finish_product(work, apply(work, "Mul", {integers, scales}), kFloat);
}

// What the operand is when it has gone through 8 bits and back; with a fixed range the scale is left out.
std::string QuantizedNodes::rounded_operand(Work& work, std::string operand) {
  using Activations = QuantizedNode::Activations;
  const QuantizedNode& unit = *work.unit;
  if (unit.activations == Activations::kept) return operand;
  operand = smoothed(work, operand);
  std::string scale;
  std::string zero_point;
  const std::string codes = codes_of(work, operand, scale, zero_point);
  operand = cast(work, codes, kFloat);
  if (unit.activations == Activations::dynamic) {
    operand = apply(work, "Sub", {operand, cast(work, zero_point, kFloat)});
    return apply(work, "Mul", {operand, scale});
  }
  if (unit.range_zero_point == 0) return operand;
  return apply(work, "Sub", {operand, number(work, "middle", static_cast<float>(unit.range_zero_point))});
}

// The node itself with the unpacked weight, and an operand that may have gone through integers and back.
void QuantizedNodes::as_floats(Work& work) {
  using Activations = QuantizedNode::Activations;
  const QuantizedNode& unit = *work.unit;
  const bool kept = unit.activations == Activations::kept;
  // The scale of a fixed range is in the weight.
  const float factor = unit.activations == Activations::fixed ? unit.range_scale : 1.0F;
  const bool blocks = unit.bits == 4 || shared_with_tables_.contains(unit.share);
  std::string weight = blocks ? weight_from_blocks(work) : weight_from_levels(work, factor);
  const int type = kept ? work.type : kFloat;
  if (type != kFloat) weight = cast(work, weight, type);
  std::string operand = unit.smoothed ? matrix_operand(work) : work.old.input(0);
  if (type != work.type) operand = cast(work, operand, kFloat);
  operand = rounded_operand(work, operand);
  std::vector<std::string> inputs{operand, weight};
  for (int i = 2; i < work.old.input_size(); ++i) {
    inputs.push_back(work.old.input(i));
    if (type != work.type && !inputs.back().empty()) inputs.back() = cast(work, inputs.back(), kFloat);
  }
  onnx::NodeProto& node = add(work, work.old.op_type(), inputs);
  for (const onnx::AttributeProto& attribute : work.old.attribute()) {
    if (attribute.name() == "transB" || (attribute.name() == "transA" && unit.smoothed)) continue;
    *node.add_attribute() = attribute;
  }
  if (type != work.type) (void)cast(work, result(work), work.type);
}

}  // namespace qvl
