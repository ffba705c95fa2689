// Quantized files of one unit, run by ONNX Runtime, against the simulation: a model with rounded weights and
// operators that round its activations.
#include <gtest/gtest.h>

#include "checkpoint/safetensors_writer.h"
#include "core/convert.h"
#include "onnx/model_summary.h"
#include "qvl/quantize.h"
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

Tensor run_quantized(const fs::path& file, const Tensors& inputs) {
  Tensors found = test::run_model(test::read_file(file), file, inputs, {"y"}, true);
  return std::move(found.at("y"));
}

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
      const Tensor found = run_quantized(options.out / "model.onnx", one.inputs);
      EXPECT_LE(test::difference(expected, found), kBar);
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
  EXPECT_EQ(ops("int8"), (std::map<std::string, std::int64_t>{{"com.microsoft::MatMulNBits", 1}}));
  EXPECT_EQ(ops("int8-dynamic"),
            (std::map<std::string, std::int64_t>{
                {"Cast", 1}, {"DynamicQuantizeLinear", 1}, {"MatMulInteger", 1}, {"Mul", 2}}));
  EXPECT_EQ(ops("int8-static"), (std::map<std::string, std::int64_t>{
                                    {"DequantizeLinear", 2}, {"MatMul", 1}, {"QuantizeLinear", 1}}));
}

}  // namespace
}  // namespace qvl
