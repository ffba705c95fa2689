#include "quant/packed_blocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/half.h"
#include "quant/fake_quantize.h"
#include "qvl/error.h"
#include "support/hand_made_model.h"
#include "support/model_run.h"

namespace qvl {
namespace {

constexpr const char* kFormats =
    "int8,int8:16,int8:64,int8:256,int8:1024,int4:16,int4:32,int4:128,int4:512,int4:1048576";

WeightLayout layout_of(std::int64_t rows, std::int64_t depth, DepthAxis axis, std::int64_t matrices = 1) {
  return {matrices, rows, depth, axis};
}

// By the definition, number by number.
std::vector<std::uint8_t> packed_slowly(const QuantizedWeights& weights, std::int64_t matrix,
                                        std::int64_t block) {
  const auto& [layout, format, levels, scales] = weights;
  std::vector<std::uint8_t> bytes;
  for (std::int64_t row = 0; row < layout.rows; ++row) {
    std::vector<int> codes(static_cast<std::size_t>((layout.depth + block - 1) / block * block));
    for (std::size_t k = 0; k < codes.size(); ++k) {
      const bool there = k < static_cast<std::size_t>(layout.depth);
      codes[k] = (format.bits == 8 ? 128 : 8) +
                 (there ? levels[layout.index(matrix, row, static_cast<std::int64_t>(k))] : 0);
    }
    for (std::size_t k = 0; k < codes.size(); k += format.bits == 8 ? 1 : 2)
      bytes.push_back(static_cast<std::uint8_t>(format.bits == 8 ? codes[k] : codes[k] + 16 * codes[k + 1]));
  }
  return bytes;
}

TEST(PackedBlocks, HoldTheLevelsInTheOrderOfTheDefinition) {
  for (const DepthAxis axis : {DepthAxis::contiguous, DepthAxis::strided}) {
    for (const auto& [rows, depth] : {std::pair{1, 1}, {3, 40}, {64, 256}, {77, 523}, {131, 15}}) {
      const WeightLayout layout = layout_of(rows, depth, axis, 2);
      const auto weights = test::noise(layout.elements(), 1);
      for (const Format& format : parse_formats(kFormats)) {
        const QuantizedWeights quantized = quantize_weights(layout, format, weights);
        for (const int matrix : {0, 1}) {
          const PackedBlocks packed = pack_blocks(quantized, matrix, 1);
          ASSERT_EQ(packed.data, packed_slowly(quantized, matrix, packed.block))
              << to_string(format) << " " << rows << " x " << depth;
          ASSERT_EQ(pack_blocks(quantized, matrix, 3).data, packed.data);
        }
      }
    }
  }
}

TEST(PackedBlocks, UnpackedAreTheSimulationToTheBit) {
  for (const DepthAxis axis : {DepthAxis::contiguous, DepthAxis::strided}) {
    const WeightLayout layout = layout_of(77, 1307, axis);
    auto weights = test::noise(layout.elements(), 2, 0.05F);
    std::fill_n(weights.begin(), 3000, 0.0F);
    for (const Format& format : parse_formats(kFormats)) {
      std::vector<float> simulated(weights.size());
      fake_quantize(layout, format, weights, simulated);
      std::vector<float> unpacked(weights.size());
      pack_blocks(quantize_weights(layout, format, weights)).unpack(unpacked);
      for (std::int64_t row = 0; row < layout.rows; ++row) {
        for (std::int64_t k = 0; k < layout.depth; ++k) {
          ASSERT_EQ(unpacked[static_cast<std::size_t>(row * layout.depth + k)],
                    simulated[layout.index(0, row, k)])
              << to_string(format) << " row " << row << " k " << k;
        }
      }
    }
  }
}

TEST(PackedBlocks, AreOfASizeThatTheOperatorHas) {
  EXPECT_EQ(stored_block(parse_format("int4:16"), 2048), 16);
  EXPECT_EQ(stored_block(parse_format("int8:256"), 20), 256);
  EXPECT_EQ(stored_block(parse_format("int4:512"), 2048), 256);
  EXPECT_EQ(stored_block(parse_format("int8"), 11008), 256);
  EXPECT_EQ(stored_block(parse_format("int8"), 16), 16);
  // 14 x 256, 27 x 128 or 54 x 64 bytes, and 2 for each scale.
  EXPECT_EQ(stored_block(parse_format("int8"), 3420), 128);
  EXPECT_THROW((void)stored_block(parse_format("int8-static"), 16), UsageError);
}

TEST(PackedBlocks, RefuseWhatTheyAreNotFor) {
  const WeightLayout layout = layout_of(2, 16, DepthAxis::contiguous);
  const std::vector<float> weights(32, 1.0F);
  EXPECT_THROW((void)pack_blocks(quantize_weights(layout, parse_format("int8-dynamic"), weights)),
               UsageError);
  QuantizedWeights good = quantize_weights(layout, parse_format("int8"), weights);
  EXPECT_THROW((void)pack_blocks(good, 1), UsageError);
  EXPECT_THROW((void)pack_blocks(good, -1), UsageError);
  std::vector<float> small(31);
  EXPECT_THROW(pack_blocks(good).unpack(small), UsageError);
  good.scales.pop_back();
  EXPECT_THROW((void)pack_blocks(good), UsageError);
  const QuantizedWeights nothing = quantize_weights({1, 0, 16}, parse_format("int8"), {});
  EXPECT_TRUE(pack_blocks(nothing).data.empty());
}

struct Operand {
  WeightLayout layout;
  PackedBlocks packed;
};

// y[M, N] = a[M, K] x B of one node MatMulNBits.
Tensor run_node(const PackedBlocks& packed, const std::vector<float>& a, std::int64_t lines, bool half,
                std::int64_t accuracy) {
  const int type = half ? onnx::TensorProto::FLOAT16 : onnx::TensorProto::FLOAT;
  test::HandMadeModel model;
  onnx::OperatorSetIdProto& opset = *model.proto().add_opset_import();
  opset.set_domain("com.microsoft");
  opset.set_version(1);
  model.input("a", {lines, packed.depth}, type);
  model.output("y", type);
  onnx::TensorProto& data = *model.graph().add_initializer();
  data.set_name("b");
  data.set_data_type(onnx::TensorProto::UINT8);
  for (const std::int64_t dim : {packed.rows, packed.blocks(), packed.block * packed.bits / 8})
    data.add_dims(dim);
  data.mutable_raw_data()->assign(reinterpret_cast<const char*>(packed.data.data()), packed.data.size());
  const Shape shape{packed.rows * packed.blocks()};
  half ? model.halves("s", shape, packed.scales) : model.floats("s", shape, packed.scales);
  onnx::NodeProto& node = model.node("MatMulNBits", {"a", "b", "s"}, {"y"});
  node.set_domain("com.microsoft");
  test::set(node, "K", packed.depth);
  test::set(node, "N", packed.rows);
  test::set(node, "bits", packed.bits);
  test::set(node, "block_size", packed.block);
  test::set(node, "accuracy_level", accuracy);
  const Shape a_shape{lines, packed.depth};
  return std::move(test::run_model(model.serialize(), ".",
                                   {{"a", half ? test::halves_of(a_shape, a) : test::floats_of(a_shape, a)}})
                       .at("y"));
}

// The largest difference from the product in double precision, as a share of what the sum of magnitudes is.
double product_error(const Tensor& found, const std::vector<float>& a, const std::vector<float>& values,
                     const PackedBlocks& packed, std::int64_t lines, bool half) {
  double worst = 0;
  for (std::int64_t line = 0; line < lines; ++line) {
    for (std::int64_t row = 0; row < packed.rows; ++row) {
      double sum = 0;
      double magnitude = 0;
      for (std::int64_t k = 0; k < packed.depth; ++k) {
        const double product = double{a[static_cast<std::size_t>(line * packed.depth + k)]} *
                               values[static_cast<std::size_t>(row * packed.depth + k)];
        sum += product;
        magnitude += std::abs(product);
      }
      const auto at = static_cast<std::size_t>(line * packed.rows + row);
      const double value = half ? to_float(found.as<Half>()[at]) : found.as<float>()[at];
      worst = std::max(worst, std::abs(value - sum) / magnitude);
    }
  }
  return worst;
}

void compare_with_runtime(bool half, double bar, std::int64_t accuracy, double bar_8_bits) {
  for (const Format& format : parse_formats("int8,int8:16,int8:64,int8:256,int8:1024,int4:16,int4:32,"
                                            "int4:128,int4:512")) {
    const WeightLayout layout = WeightLayout::of_matmul({1100, 37});  // no multiple of a block, an odd N
    const auto weights = test::noise(layout.elements(), 3, 0.05F);
    PackedBlocks packed = pack_blocks(quantize_weights(layout, format, weights));
    if (half) packed.scales = test::rounded_to_half(packed.scales);
    std::vector<float> values(layout.elements());
    packed.unpack(values);
    for (const std::int64_t lines : {1, 5}) {
      auto a = test::noise(static_cast<std::size_t>(lines * layout.depth), 4);
      if (half) a = test::rounded_to_half(a);
      const Tensor found = run_node(packed, a, lines, half, accuracy);
      EXPECT_LE(product_error(found, a, values, packed, lines, half), format.bits == 8 ? bar_8_bits : bar)
          << to_string(format) << " " << lines << " lines, accuracy level " << accuracy;
    }
  }
}

TEST(PackedBlocks, TheRuntimeMultipliesByThemInF32) { compare_with_runtime(false, 1e-6, 0, 1e-6); }

// Activations are rounded to 8 bits by blocks: 1/254 of a block's largest number at most.
TEST(PackedBlocks, TheRuntimeMultipliesByThemWithAccuracyLevel4) {
  compare_with_runtime(false, 1e-2, 4, 1e-2);
}

TEST(PackedBlocks, TheRuntimeMultipliesByThemInF16) { compare_with_runtime(true, 2e-3, 0, 2e-3); }

}  // namespace
}  // namespace qvl
