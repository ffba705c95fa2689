// The definitions of the roundings against ONNX Runtime itself: its block quantizer's results
// (tests/data/quant), and its operators, which are run here.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "core/json_text.h"
#include "quant/activation.h"
#include "quant/fake_quantize.h"
#include "quant/quantized_weights.h"
#include "runtime/session.h"
#include "support/test_data.h"

namespace qvl {
namespace {

std::vector<float> floats(const Json& bits) {
  std::vector<float> values;
  for (const Json& number : bits) values.push_back(std::bit_cast<float>(number.get<std::uint32_t>()));
  return values;
}

// As written, without fusions: every operator is the one named.
Session model(const std::string& name) {
  SessionOptions options;
  options.threads = 1;
  options.optimization = GraphOptimization::none;
  return Session(test::data("quant") / (name + ".onnx"), options);
}

template <class T>
Tensor tensor(DType dtype, Shape shape, const std::vector<T>& values) {
  return Tensor::of<T>(dtype, std::move(shape), values);
}

std::vector<float> values_of(const OutputTensor& output) {
  const auto values = output.as<float>();
  return {values.begin(), values.end()};
}

// As MatMulNBits takes them: [N, blocks, block x bits / 8], the first of two in the lower half of a byte;
// what fills up the last block is the zero point.
std::vector<std::uint8_t> packed(const QuantizedWeights& weights) {
  const auto& [layout, format, levels, scales] = weights;
  std::vector<std::uint8_t> bytes;
  for (std::int64_t row = 0; row < layout.rows; ++row) {
    std::vector<int> codes(static_cast<std::size_t>(format.blocks(layout.depth) * format.block),
                           format.zero_point());
    for (std::int64_t k = 0; k < layout.depth; ++k)
      codes[static_cast<std::size_t>(k)] += levels[layout.index(0, row, k)];
    for (std::size_t i = 0; i < codes.size(); i += format.bits == 8 ? 1 : 2) {
      const int high = format.bits == 8 ? 0 : codes[i + 1] << 4;
      bytes.push_back(static_cast<std::uint8_t>(codes[i] | high));
    }
  }
  return bytes;
}

TEST(OnnxRuntime, QuantizesBlocksToTheSameCodesAndScales) {
  const Json cases = read_json_file(test::data("quant") / "blocks.json");
  ASSERT_EQ(cases.size(), 6U);
  for (const Json& one : cases) {
    const Format format{one["bits"].get<int>(), one["block"].get<std::int64_t>(), ActivationRounding::kept};
    const WeightLayout layout =
        WeightLayout::of_matmul({one["depth"].get<std::int64_t>(), one["columns"].get<std::int64_t>()});
    const std::vector<int> codes = one["codes"].get<std::vector<int>>();
    for (const Isa isa : supported_isas()) {
      const QuantizedWeights found = quantize_weights(layout, format, floats(one["weights"]), isa);
      EXPECT_EQ(found.scales, floats(one["scales"])) << to_string(format);
      for (std::int64_t row = 0; row < layout.rows; ++row) {
        for (std::int64_t k = 0; k < layout.depth; ++k) {
          ASSERT_EQ(found.levels[layout.index(0, row, k)] + format.zero_point(),
                    codes[static_cast<std::size_t>(row * layout.depth + k)])
              << to_string(format) << " " << name(isa) << " row " << row << " k " << k;
        }
      }
    }
  }
}

TEST(OnnxRuntime, MatMulNBitsTakesBlocksForTheValuesOfFakeQuantize) {
  for (const Json& one : read_json_file(test::data("quant") / "blocks.json")) {
    const Format format{one["bits"].get<int>(), one["block"].get<std::int64_t>(), ActivationRounding::kept};
    const WeightLayout layout =
        WeightLayout::of_matmul({one["depth"].get<std::int64_t>(), one["columns"].get<std::int64_t>()});
    // The rows of 1e37 meet zeros of the unit matrix; sums stay exact.
    const std::vector<float> weights = floats(one["weights"]);
    std::vector<float> expected(weights.size());
    fake_quantize(layout, format, weights, expected);

    const QuantizedWeights quantized = quantize_weights(layout, format, weights);
    const std::int64_t blocks = format.blocks(layout.depth);
    Tensor unit(DType::f32, {layout.depth, layout.depth});
    for (std::int64_t k = 0; k < layout.depth; ++k)
      unit.as<float>()[static_cast<std::size_t>(k * (layout.depth + 1))] = 1.0F;
    const Tensor codes =
        tensor(DType::u8, {layout.rows, blocks, format.block * format.bits / 8}, packed(quantized));
    const Tensor scales = tensor(DType::f32, {layout.rows, blocks}, quantized.scales);
    const Session session =
        model("matmul-int" + std::to_string(format.bits) + "-" + std::to_string(format.block));
    const auto outputs =
        session.run({{"a", unit.view()}, {"codes", codes.view()}, {"scales", scales.view()}});
    EXPECT_EQ(values_of(outputs[0]), expected) << to_string(format);
  }
}

TEST(OnnxRuntime, DequantizeLinearTakesChannelsForTheValuesOfFakeQuantize) {
  std::mt19937 random(2);
  std::normal_distribution<float> distribution(0.0F, 0.05F);
  std::vector<float> weights(40 * 9);
  for (float& weight : weights) weight = distribution(random);
  for (const bool transposed : {false, true}) {
    const Shape shape = transposed ? Shape{9, 40} : Shape{40, 9};
    const WeightLayout layout = WeightLayout::of_gemm(shape, transposed);
    std::vector<float> expected(weights.size());
    fake_quantize(layout, parse_format("int8"), weights, expected);
    const QuantizedWeights quantized = quantize_weights(layout, parse_format("int8"), weights);
    const Tensor levels = tensor(DType::i8, shape, quantized.levels);
    const Tensor scales = tensor(DType::f32, {9}, quantized.scales);
    const auto outputs = model(transposed ? "channels-first" : "channels-last")
                             .run({{"q", levels.view()}, {"scale", scales.view()}});
    EXPECT_EQ(values_of(outputs[0]), expected);
  }
}

std::vector<std::vector<float>> activations() {
  std::mt19937 random(6);
  std::vector<std::vector<float>> all{{0.0F},        {-3.0F},         {5.0F, 5.0F},
                                      {0.0F, -0.0F}, {-0.5F, 254.5F}, {-1.5F, 253.5F}};
  for (const float deviation : {1e-30F, 0.01F, 1.0F, 300.0F, 1e30F}) {
    for (const float shift : {-2.0F, -0.3F, 0.0F, 0.7F, 5.0F}) {
      std::normal_distribution<float> distribution(shift * deviation, deviation);
      std::vector<float>& values = all.emplace_back(777);
      for (float& value : values) value = distribution(random);
    }
  }
  return all;
}

TEST(OnnxRuntime, DynamicQuantizeLinearFindsTheSameScaleAndValues) {
  const Session session = model("dynamic");
  for (const std::vector<float>& values : activations()) {
    const Tensor x = tensor(DType::f32, {static_cast<std::int64_t>(values.size())}, values);
    const auto outputs = session.run({{"x", x.view()}}, {"scale", "zero_point", "y"});
    const AffineU8 affine = AffineU8::of_range(min_max(values));
    EXPECT_EQ(affine.scale, outputs[0].as<float>()[0]);
    EXPECT_EQ(affine.zero_point, outputs[1].as<std::uint8_t>()[0]);
    std::vector<float> found(values.size());
    EXPECT_FALSE(fake_quantize_activation(values, affine, found));
    EXPECT_EQ(found, values_of(outputs[2]));
  }
}

TEST(OnnxRuntime, QuantizeLinearGivesTheSameValues) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const Session session = model("static");
  for (std::vector<float> values : activations()) {
    // A range that leaves a part of them out.
    const ValueRange all = min_max(values);
    const AffineU8 affine = AffineU8::of_range({all.least * 0.4F, all.most * 0.6F, false});
    for (int code = -3; code < 260; ++code) {  // halves of a step
      values.push_back((static_cast<float>(code - affine.zero_point) + 0.5F) * affine.scale);
    }
    values.insert(values.end(),
                  {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN(), 3e38F, -3e38F});
    const Tensor x = tensor(DType::f32, {static_cast<std::int64_t>(values.size())}, values);
    const Tensor scale = tensor(DType::f32, {}, std::vector<float>{affine.scale});
    const Tensor zero_point = tensor(DType::u8, {}, std::vector<std::uint8_t>{affine.zero_point});
    const auto outputs =
        session.run({{"x", x.view()}, {"scale", scale.view()}, {"zero_point", zero_point.view()}});
    std::vector<float> found(values.size());
    EXPECT_TRUE(fake_quantize_activation(values, affine, found));
    EXPECT_EQ(found, values_of(outputs[0]));
  }
}

}  // namespace
}  // namespace qvl
