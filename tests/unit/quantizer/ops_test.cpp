// Quantized files of one unit, run by ONNX Runtime, against the simulation: a model with rounded weights and
// operators that round its activations.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "checkpoint/safetensors_writer.h"
#include "core/convert.h"
#include "onnx/read/model_summary.h"
#include "qvl/quantize.h"
#include "runtime/session.h"
#include "support/one_op_model.h"
#include "support/test_data.h"
#include "unit/sensitivity/plain_measurement.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using test::OneOpModel;
using test::PlainMeasurement;
using test::Tensors;

// What the sums' order makes of products in f32; integers are summed exactly.
constexpr double kBar = 2e-6;
// And of f16 scales and sums in f16 graphs.
constexpr double kHalfBar = 4e-3;

const std::vector<std::string> kFormats{"int8",    "int8:16",   "int8:64",      "int4:16",
                                        "int4:32", "int4:1024", "int8-dynamic", "int8-static"};

void write_sample(const fs::path& folder, const Tensors& tensors) {
  fs::create_directories(folder);
  std::vector<NamedTensor> named;
  for (const auto& [name, tensor] : tensors) named.push_back({name, tensor.view()});
  write_safetensors(folder / "sample.safetensors", named);
}

// As people run it: with all that ONNX Runtime does to a graph by default, or less.
Tensor run_quantized(const fs::path& file, const Tensors& inputs,
                     GraphOptimization optimization = GraphOptimization::all) {
  SessionOptions options;
  options.threads = 1;
  options.optimization = optimization;
  const Session session(file, options);
  std::vector<NamedTensor> given;
  for (const auto& [name, tensor] : inputs) given.push_back({name, tensor.view()});
  return session.run(given, std::vector<std::string>{"y"}).front().copy();
}

constexpr GraphOptimization kLevels[] = {GraphOptimization::none, GraphOptimization::basic,
                                         GraphOptimization::extended, GraphOptimization::all};

QuantizeOptions options_for(const fs::path& folder, const std::string& format, const std::string& name) {
  QuantizeOptions options;
  options.model = folder / "model.onnx";
  options.format = format;
  options.data = folder / "data";
  options.out = folder / name;
  options.threads = 1;
  return options;
}

class Ops : public testing::TestWithParam<std::int64_t> {};

TEST_P(Ops, GiveWhatTheSimulationGives) {
  for (OneOpModel& one : test::one_op_models(GetParam())) {
    const test::TemporaryFolder folder;
    one.model.save(folder.path() / "model.onnx");
    write_sample(folder.path() / "data", one.inputs);
    PlainMeasurement plain(one.model.proto(), folder.path() / "model.onnx", {OneOpModel::kUnit},
                           {{one.inputs, {}}});
    plain.calibrate("minmax");
    for (const std::string& format : kFormats) {
      SCOPED_TRACE(one.name + " " + format);
      const QuantizeOptions options = options_for(folder.path(), format, format);
      const QuantizeResult result = quantize_model(options);
      ASSERT_EQ(result.files.size(), 1U);
      EXPECT_EQ(result.files.front().quantized, 1);
      const Tensor expected = std::move(plain.outputs({{OneOpModel::kUnit, format}}).front().at("y"));
      Tensor found(DType::f32, {});
      for (const GraphOptimization level : kLevels) {
        found = run_quantized(options.out / "model.onnx", one.inputs, level);
        EXPECT_LE(test::difference(expected, found), kBar) << static_cast<int>(level);
      }
      // It is no copy of the model that it was made from.
      const Tensor unquantized = std::move(plain.outputs({}).front().at("y"));
      EXPECT_GT(test::difference(unquantized, found), 1e-4);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Opsets, Ops, testing::Values(11, 13, 17, 21));

TEST(OpsInHalf, GiveWhatTheSimulationGivesButForRounding) {
  for (const std::string& format : kFormats) {
    SCOPED_TRACE(format);
    const test::TemporaryFolder folder;
    test::HandMadeModel half;
    half.input("x", {4, 80}, onnx::TensorProto::FLOAT16);
    const std::vector<float> weight = test::noise(80 * 12, 3, 0.2F);
    half.halves("w", {80, 12}, weight);
    half.node("MatMul", {"x", "w"}, {"y"}, OneOpModel::kUnit);
    half.output("y", onnx::TensorProto::FLOAT16);
    half.save(folder.path() / "model.onnx");
    const std::vector<float> x = test::rounded_to_half(test::noise(4 * 80, 4));
    write_sample(folder.path() / "data", {{"x", test::halves_of({4, 80}, x)}});
    test::HandMadeModel full;
    full.input("x", {4, 80});
    full.floats("w", {80, 12}, test::rounded_to_half(weight));
    full.node("MatMul", {"x", "w"}, {"y"}, OneOpModel::kUnit);
    full.output("y");
    PlainMeasurement plain(full.proto(), folder.path() / "full.onnx", {OneOpModel::kUnit},
                           {{{{"x", test::floats_of({4, 80}, x)}}, {}}});
    plain.calibrate("minmax");
    const QuantizeOptions options = options_for(folder.path(), format, "out");
    (void)quantize_model(options);
    const Tensor found = run_quantized(options.out / "model.onnx", {{"x", test::halves_of({4, 80}, x)}});
    EXPECT_EQ(found.dtype(), DType::f16);
    const Tensor expected = std::move(plain.outputs({{OneOpModel::kUnit, format}}).front().at("y"));
    std::vector<float> values(48);
    convert(DType::f16, found.bytes(), DType::f32, std::as_writable_bytes(std::span(values)));
    EXPECT_LE(test::difference(expected, test::floats_of(expected.shape(), values)), kHalfBar);
  }
}

TEST(OpsStored, TakeTheOperatorsThatAreMeant) {
  test::TemporaryFolder folder;
  OneOpModel one = std::move(test::one_op_models(17).front());
  one.model.save(folder.path() / "model.onnx");
  write_sample(folder.path() / "data", one.inputs);
  const auto ops = [&](const std::string& format) {
    const QuantizeOptions options = options_for(folder.path(), format, format);
    (void)quantize_model(options);
    return summarize_model(options.out / "model.onnx").ops;
  };
  EXPECT_EQ(ops("int4:32"), (std::map<std::string, std::int64_t>{{"com.microsoft::MatMulNBits", 1}}));
  // A product this shallow is cheaper than scales behind it.
  EXPECT_EQ(ops("int8"), (std::map<std::string, std::int64_t>{{"Cast", 1}, {"Mul", 1}, {"MatMul", 1}}));
  EXPECT_EQ(ops("int8-dynamic"),
            (std::map<std::string, std::int64_t>{
                {"Cast", 1}, {"DynamicQuantizeLinear", 1}, {"MatMulInteger", 1}, {"Mul", 2}}));
  EXPECT_EQ(ops("int8-static"), (std::map<std::string, std::int64_t>{
                                    {"Cast", 1}, {"QuantizeLinear", 1}, {"MatMulInteger", 1}, {"Mul", 2}}));
  const auto unpacked = [&](const std::string& format, int level) {
    QuantizeOptions options = options_for(folder.path(), format, format + std::to_string(level));
    options.accuracy_level = level;
    return quantize_model(options).files.front().unpacked_bytes;
  };
  // 45 x 7 weights in f32: what Cast, Mul (and the scales of all weights) give, and what the kernel takes.
  EXPECT_EQ(unpacked("int8", 0), 3U * 4 * 45 * 7);
  EXPECT_EQ(unpacked("int8:16", 0), 4U * 4 * 45 * 7);
  EXPECT_EQ(unpacked("int8:16", 4), 0U);
  EXPECT_EQ(unpacked("int4:32", 0), 0U);
  EXPECT_EQ(unpacked("int8-dynamic", 0), 0U);
  QuantizeOptions leveled = options_for(folder.path(), "int8", "leveled");
  leveled.accuracy_level = 4;
  (void)quantize_model(leveled);
  EXPECT_EQ(summarize_model(leveled.out / "model.onnx").ops,
            (std::map<std::string, std::int64_t>{{"com.microsoft::MatMulNBits", 1}}));
}

// MatMuls and Gemms deep enough to have their scales behind them.
TEST(OpsDeep, GiveWhatTheSimulationGives) {
  for (const bool gemm : {false, true}) {
    for (const std::int64_t opset : {11, 21}) {
      const test::TemporaryFolder folder;
      test::HandMadeModel model(opset);
      model.input("x", {3, 1100});
      model.floats("w", gemm ? Shape{24, 1100} : Shape{1100, 24}, test::noise(1100 * 24, 5, 0.2F));
      onnx::NodeProto& node = model.node(gemm ? "Gemm" : "MatMul", {"x", "w"}, {"y"}, OneOpModel::kUnit);
      if (gemm) {
        model.floats("b", {24}, test::noise(24, 6));
        node.add_input("b");
        test::set(node, "transB", 1);
        onnx::AttributeProto& alpha = *node.add_attribute();
        alpha.set_name("alpha");
        alpha.set_type(onnx::AttributeProto::FLOAT);
        alpha.set_f(0.75F);
      }
      model.output("y");
      model.save(folder.path() / "model.onnx");
      const Tensors inputs{{"x", test::floats_of({3, 1100}, test::noise(3300, 7))}};
      write_sample(folder.path() / "data", inputs);
      PlainMeasurement plain(model.proto(), folder.path() / "model.onnx", {OneOpModel::kUnit},
                             {{inputs, {}}});
      plain.calibrate("minmax");
      for (const std::string& format : kFormats) {
        SCOPED_TRACE(format);
        const QuantizeOptions options = options_for(folder.path(), format, format);
        (void)quantize_model(options);
        const Tensor expected = std::move(plain.outputs({{OneOpModel::kUnit, format}}).front().at("y"));
        for (const GraphOptimization level : kLevels)
          EXPECT_LE(test::difference(expected, run_quantized(options.out / "model.onnx", inputs, level)),
                    kBar);
      }
      const auto ops = summarize_model(folder.path() / "int8" / "model.onnx").ops;
      EXPECT_EQ(ops.at("MatMul"), 1);  // for the levels alone: the scales do not go into the weight
      EXPECT_EQ(ops.count("MatMulNBits"), 0U);
    }
  }
}

// Units behind units, so that what one gives is rounded by the next: ONNX Runtime looks for just such places
// to make integer kernels of its own. Output channels are of unlike sizes, as after folding a BatchNorm.
struct Chain {
  std::string name;
  test::HandMadeModel model;
  std::vector<std::string> units;
  Tensors inputs;
};

std::vector<float> unlike(std::int64_t channels, std::int64_t depth, unsigned seed) {
  std::vector<float> values = test::noise(static_cast<std::size_t>(channels * depth), seed, 0.2F);
  for (std::int64_t c = 0; c < channels; ++c) {
    const float size = std::pow(10.0F, -3.0F * static_cast<float>(c) / static_cast<float>(channels));
    for (std::int64_t k = 0; k < depth; ++k) values[static_cast<std::size_t>(c * depth + k)] *= size;
  }
  return values;
}

// Conv, what is between, Conv, and a Gemm at the end.
Chain conv_chain(std::int64_t opset, const std::string& between) {
  Chain chain{"Conv " + between, test::HandMadeModel(opset), {"/first", "/second", "/last"}, {}};
  test::HandMadeModel& m = chain.model;
  m.input("x", {1, 3, 10, 10});
  m.floats("w1", {16, 3, 3, 3}, unlike(16, 27, 1));
  m.floats("b1", {16}, test::noise(16, 2, 0.1F));
  m.floats("w2", {8, 16, 1, 1}, test::noise(128, 3, 0.5F));
  m.floats("w3", {5, 800}, unlike(5, 800, 4));
  m.floats("b3", {5}, test::noise(5, 5));
  test::set(m.node("Conv", {"x", "w1", "b1"}, {"a"}, "/first"), "pads",
            std::vector<std::int64_t>{1, 1, 1, 1});
  std::string value = "a";
  if (!between.empty()) {
    m.node(between, {"a"}, {"r"});
    value = "r";
  }
  m.node("Conv", {value, "w2"}, {"c"}, "/second");
  test::set(m.node("Flatten", {"c"}, {"f"}), "axis", 1);
  test::set(m.node("Gemm", {"f", "w3", "b3"}, {"y"}, "/last"), "transB", 1);
  m.output("y");
  chain.inputs["x"] = test::floats_of({1, 3, 10, 10}, test::noise(300, 9));
  return chain;
}

// MatMul, bias and activation, Gemm with all it has, MatMul.
Chain matrix_chain(std::int64_t opset) {
  Chain chain{"matrices", test::HandMadeModel(opset), {"/first", "/second", "/last"}, {}};
  test::HandMadeModel& m = chain.model;
  m.input("x", {6, 40});
  m.floats("w1", {40, 24}, test::noise(960, 1, 0.2F));
  m.floats("b1", {24}, test::noise(24, 2, 0.1F));
  m.floats("w2", {12, 24}, unlike(12, 24, 3));
  m.floats("b2", {12}, test::noise(12, 4, 0.1F));
  m.floats("w3", {12, 7}, test::noise(84, 5));
  m.node("MatMul", {"x", "w1"}, {"a"}, "/first");
  m.node("Add", {"a", "b1"}, {"b"});
  m.node("Relu", {"b"}, {"r"});
  onnx::NodeProto& gemm = m.node("Gemm", {"r", "w2", "b2"}, {"g"}, "/second");
  test::set(gemm, "transB", 1);
  for (const auto& [name, value] : {std::pair("alpha", 0.5F), std::pair("beta", 2.0F)}) {
    onnx::AttributeProto& attribute = *gemm.add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::FLOAT);
    attribute.set_f(value);
  }
  m.node("MatMul", {"g", "w3"}, {"y"}, "/last");
  m.output("y");
  chain.inputs["x"] = test::floats_of({6, 40}, test::noise(240, 9));
  return chain;
}

TEST(OpsChained, GiveWhatTheSimulationGives) {
  for (const std::int64_t opset : {11, 12, 13, 17, 19, 21}) {
    std::vector<Chain> chains;
    chains.push_back(conv_chain(opset, "Relu"));
    chains.push_back(conv_chain(opset, ""));
    chains.push_back(matrix_chain(opset));
    for (Chain& chain : chains) {
      const test::TemporaryFolder folder;
      chain.model.save(folder.path() / "model.onnx");
      write_sample(folder.path() / "data", chain.inputs);
      PlainMeasurement plain(chain.model.proto(), folder.path() / "model.onnx", chain.units,
                             {{chain.inputs, {}}});
      plain.calibrate("minmax");
      for (const std::string format : {"int8-static", "int8-dynamic", "int8", "int8:16"}) {
        SCOPED_TRACE(fmt::format("{} opset {} {}", chain.name, opset, format));
        const QuantizeOptions options = options_for(folder.path(), format, format);
        (void)quantize_model(options);
        PlainMeasurement::Assignment all;
        for (const std::string& unit : chain.units) all[unit] = format;
        const Tensor expected = std::move(plain.outputs(all).front().at("y"));
        const Tensor unquantized = std::move(plain.outputs({}).front().at("y"));
        EXPECT_GT(test::difference(unquantized, expected), 1e-4);
        for (const GraphOptimization level : kLevels) {
          EXPECT_LE(
              test::difference(expected, run_quantized(options.out / "model.onnx", chain.inputs, level)),
              kBar)
              << static_cast<int>(level);
        }
      }
    }
  }
}

}  // namespace
}  // namespace qvl
