// How quantized weights lie in the graph, and the nodes that make floats of them again.
#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "onnx/rewrite/quantized_graph_state.h"

namespace qvl {
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

// Steps of the size of the weight in f32 that are folded, and what the kernel makes of the last.
void QuantizedNodes::count_unpacked(const Work& work, std::uint64_t copies) {
  const QuantizedNode& unit = *work.unit;
  unpacked_bytes_ += 4 * copies * static_cast<std::uint64_t>(unit.matrices * unit.rows * unit.depth);
}

// A byte a weight: beside integers unsigned, elsewhere signed, which saves a step of unpacking.
void QuantizedNodes::store_levels(Work& work, DType levels) {
  const QuantizedNode& unit = *work.unit;
  const bool conv = work.old.op_type() == "Conv";
  const bool rows = conv || unit.shape.size() == 1;
  const bool matrix = !conv && unit.shape.size() == 2;
  Shape shape = unit.shape;  // of a matrix as a MatMul takes it, whatever the Gemm does
  if (matrix) shape = {unit.depth, unit.rows};
  const std::int64_t channels = unit.matrices * unit.rows;
  const bool grouped = unit.group != 0 && levels == DType::i8;
  const DType scales = grouped && matrix && work.type == kHalf ? DType::f16 : DType::f32;
  const std::string key = unit.share.empty() ? ""
                                             : fmt::format("{} {} levels {} {}", unit.share, name(levels),
                                                           to_string(shape), name(scales));
  const auto known = shared_.find(key);
  if (!key.empty() && known != shared_.end()) {
    work.stored = known->second;
    return;
  }
  using Kind = QuantizedPiece::Kind;
  work.stored.levels =
      initializer(unit.weight + ".quantized", rows ? Kind::rows : Kind::columns, levels, shape, work.number);
  Shape of_scales{channels};
  if (grouped) of_scales.push_back((unit.depth + unit.group - 1) / unit.group);
  work.stored.scales = initializer(unit.weight + ".scales", Kind::scales, scales, of_scales, work.number);
  if (!key.empty()) shared_[key] = work.stored;
}

// The scales of groups, one for each weight, in the shape of the stored levels: by operators that are folded.
std::string QuantizedNodes::group_scales(Work& work, const std::string& scales) {
  const QuantizedNode& unit = *work.unit;
  const std::int64_t groups = (unit.depth + unit.group - 1) / unit.group;
  const auto scalar = [&](const char* what, std::int64_t value) {
    return constant(work.old.name() + "/" + what,
                    tensor_of(onnx::TensorProto::INT64, {}, std::vector<std::int64_t>{value}));
  };
  const std::string places =
      apply(work, "Range", {scalar("first", 0), scalar("depth", unit.depth), scalar("step", 1)});
  const std::string group_of = apply(work, "Div", {places, scalar("group", unit.group)});
  if (work.old.op_type() == "Conv" || unit.shape.size() == 1) {
    set_integer(add(work, "Gather", {scales, group_of}), "axis", 1);
    return apply(work, "Reshape", {result(work), numbers(work, "shape", unit.shape)});
  }
  std::string value = scales;
  const bool stack = unit.shape.size() != 2;
  if (stack)
    value = apply(work, "Reshape", {value, numbers(work, "stacked", {unit.matrices, unit.rows, groups})});
  value = turned(work, value, stack);
  set_integer(add(work, "Gather", {value, group_of}), "axis", stack ? 1 : 0);
  if (unit.shape.size() <= 3) return result(work);
  return apply(work, "Reshape", {result(work), numbers(work, "shape", unit.shape)});
}

// The weight in f32 and in the node's own shape (of a matrix [depth, rows]), times a factor.
std::string QuantizedNodes::weight_from_levels(Work& work, float factor) {
  const QuantizedNode& unit = *work.unit;
  store_levels(work, DType::i8);
  count_unpacked(work, unit.group == 0 ? 3 : 4);
  std::string scales = work.stored.scales;
  const bool conv = work.old.op_type() == "Conv";
  const bool matrix = !conv && unit.shape.size() == 2;
  if (unit.group != 0) {
    if (matrix && work.type == kHalf) scales = cast(work, scales, kFloat);
    scales = group_scales(work, scales);
  } else if (!matrix && unit.shape.size() > 1) {
    // A channel along the first axis of a Conv, the last one of a stack.
    Shape shape = unit.shape;
    std::ranges::fill(conv ? std::span(shape).subspan(1) : std::span(shape).last(2).first(1), 1);
    scales = apply(work, "Reshape", {scales, numbers(work, "channels", shape)});
  }
  if (factor != 1.0F) scales = apply(work, "Mul", {scales, number(work, "factor", factor)});
  return apply(work, "Mul", {cast(work, work.stored.levels, kFloat), scales});
}

// The last two axes change places.
std::string QuantizedNodes::turned(Work& work, const std::string& value, bool stack) {
  set_integers(add(work, "Transpose", {value}), "perm",
               stack ? std::vector<std::int64_t>{0, 2, 1} : std::vector<std::int64_t>{1, 0});
  return result(work);
}

// The same from blocks, by operators that any opset has.
std::string QuantizedNodes::weight_from_blocks(Work& work) {
  const QuantizedNode& unit = *work.unit;
  // A table's scales are of its own type.
  const bool half = work.type == kHalf && shared_with_tables_.contains(unit.share);
  store_blocks(work, half ? DType::f16 : DType::f32);
  count_unpacked(work, unit.bits == 4 ? 8 : 6);
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
  std::string scales = half ? cast(work, work.stored.scales, kFloat) : work.stored.scales;
  scales = apply(work, "Reshape", {scales, numbers(work, "scales_shape", {rows, blocks, 1})});
  value = apply(work, "Mul", {value, scales});
  value = apply(work, "Reshape", {value, numbers(work, "padded", {rows, blocks * unit.block})});
  if (blocks * unit.block != unit.depth) {
    value = apply(
        work, "Slice",
        {value, numbers(work, "from", {0}), numbers(work, "to", {unit.depth}), numbers(work, "axis", {1})});
  }
  if (work.old.op_type() == "Conv" || unit.shape.size() == 1)
    return apply(work, "Reshape", {value, numbers(work, "shape", unit.shape)});
  if (unit.shape.size() == 2) return turned(work, value, false);
  value = apply(work, "Reshape", {value, numbers(work, "stacked", {unit.matrices, unit.rows, unit.depth})});
  value = turned(work, value, true);
  Shape shape = unit.shape;
  shape[shape.size() - 2] = unit.depth;
  shape[shape.size() - 1] = unit.rows;
  return apply(work, "Reshape", {value, numbers(work, "shape", shape)});
}

}  // namespace qvl
