// What is not quantized is said, and constants of unusual kinds are read right or refused by name.
#include <gtest/gtest.h>

#include "checkpoint/safetensors_writer.h"
#include "onnx/read/model_summary.h"
#include "qvl/error.h"
#include "qvl/quantize.h"
#include "qvl/sensitivity.h"
#include "replay/kept_weights.h"
#include "support/hand_made_model.h"
#include "support/model_run.h"
#include "support/test_data.h"
#include "unit/sensitivity/plain_measurement.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using test::HandMadeModel;
using test::Tensors;

class Kept : public testing::Test {
 protected:
  qvl::QuantizedFile quantize(const HandMadeModel& model, const std::string& format = "int8") {
    model.save(folder_.path() / "model.onnx");
    QuantizeOptions options;
    options.model = folder_.path() / "model.onnx";
    options.format = format;
    options.out = folder_.path() / "out";
    options.force = true;
    options.threads = 1;
    return quantize_model(options).files.front();
  }
  [[nodiscard]] fs::path quantized() const { return folder_.path() / "out" / "model.onnx"; }
  static Tensor run(const std::string& bytes, const fs::path& place, const Tensors& inputs) {
    return std::move(test::run_model(bytes, place, inputs, {"y"}, true).at("y"));
  }
  // The quantized file is x w, with the weight in int8.
  void expect_product_with(const std::vector<float>& w) const {
    HandMadeModel rounded;
    rounded.input("x", {4, 32});
    rounded.floats("w", {32, 16}, test::plainly_quantized(w, {32, 16}, "MatMul", false, "int8"));
    rounded.node("MatMul", {"x", "w"}, {"y"});
    rounded.output("y");
    const Tensors inputs{{"x", test::floats_of({4, 32}, test::noise(128, 3))}};
    EXPECT_LE(test::difference(run(rounded.serialize(), folder_.path(), inputs),
                               run(test::read_file(quantized()), quantized(), inputs)),
              2e-6);
  }

  const test::TemporaryFolder folder_;
};

TEST_F(Kept, AMatMulWithTheConstantOnTheLeftIsNamed) {
  HandMadeModel model;
  model.input("x", {4, 32});
  model.floats("w", {32, 16}, test::noise(512, 1));
  model.floats("left_w", {8, 4}, test::noise(32, 2));
  model.node("MatMul", {"x", "w"}, {"a"}, "right");
  model.node("MatMul", {"left_w", "a"}, {"y"}, "left");
  model.output("y");
  const qvl::QuantizedFile file = quantize(model);
  EXPECT_EQ(file.units, 1);
  EXPECT_EQ(file.quantized, 1);
  EXPECT_EQ(file.weight_bytes, 4U * (512 + 32));
  ASSERT_EQ(file.kept.size(), 1U);
  EXPECT_EQ(file.kept[0].what, "MatMul with the constant on the left");
  EXPECT_EQ(file.kept[0].nodes, std::vector<std::string>{"left"});
  EXPECT_EQ(file.kept[0].bytes, 128U);
  EXPECT_EQ(describe_kept(file.kept, file.weight_bytes), "5.9 % MatMul with the constant on the left (left)");
}

TEST_F(Kept, AnEmptyWeightKeepsItsNodeAndIsNamed) {
  HandMadeModel model;
  model.input("x", {4, 32});
  model.floats("w0", {32, 0}, {});
  const std::vector<float> w = test::noise(32 * 16, 1);
  model.floats("w1", {32, 16}, w);
  model.node("MatMul", {"x", "w0"}, {"a"}, "pruned");
  model.node("MatMul", {"x", "w1"}, {"b"}, "whole");
  test::set(model.node("Concat", {"a", "b"}, {"y"}), "axis", 1);
  model.output("y");
  const qvl::QuantizedFile file = quantize(model);
  EXPECT_EQ(file.units, 1);
  EXPECT_EQ(file.quantized, 1);
  ASSERT_EQ(file.kept.size(), 1U);
  EXPECT_EQ(file.kept[0].what, "MatMul with an empty weight");
  EXPECT_EQ(file.kept[0].nodes, std::vector<std::string>{"pruned"});
  expect_product_with(w);
}

TEST_F(Kept, RecurrentAndTransposedOpsAreCountedWithTheirBytes) {
  HandMadeModel model;
  model.input("x", {5, 1, 8});
  model.floats("W", {1, 64, 8}, test::noise(512, 1));
  model.floats("R", {1, 64, 16}, test::noise(1024, 2));
  test::set(model.node("LSTM", {"x", "W", "R"}, {"", "h"}, "lstm"), "hidden_size", 16);
  model.floats("w", {16, 16}, test::noise(256, 3));
  model.node("MatMul", {"h", "w"}, {"a"}, "unit");
  model.floats("up", {1, 2, 4}, test::noise(8, 4));
  model.node("ConvTranspose", {"a", "up"}, {"y"}, "up");
  model.output("y");
  const qvl::QuantizedFile file = quantize(model);
  EXPECT_EQ(file.units, 1);
  ASSERT_EQ(file.kept.size(), 2U);
  EXPECT_EQ(file.kept[0].what, "LSTM");
  EXPECT_EQ(file.kept[0].bytes, 4U * (512 + 1024));
  EXPECT_EQ(file.kept[1].what, "ConvTranspose");
  EXPECT_EQ(file.weight_bytes, 4U * (512 + 1024 + 256 + 8));
  // 6144 of 7200 bytes; the hundredth that ConvTranspose does not reach is not worth a word.
  EXPECT_EQ(describe_kept(file.kept, file.weight_bytes), "85.3 % LSTM (lstm)");
}

// Indices as places and as coordinates; ONNX Runtime reads them both.
TEST_F(Kept, SparseWeightsAreQuantizedWithTheirZeros) {
  for (const bool coordinates : {false, true}) {
    HandMadeModel model;
    model.input("x", {4, 32});
    std::vector<float> dense(32 * 16, 0.0F);
    std::vector<float> values;
    std::vector<std::int64_t> indices;
    for (std::int64_t place = 3; place < 32 * 16; place += 7) {
      values.push_back(0.1F * static_cast<float>(place % 11 - 5) + 0.05F);
      dense[static_cast<std::size_t>(place)] = values.back();
      if (coordinates) indices.push_back(place / 16);
      indices.push_back(coordinates ? place % 16 : place);
    }
    onnx::SparseTensorProto& sparse = *model.graph().add_sparse_initializer();
    const auto count = static_cast<std::int64_t>(values.size());
    *sparse.mutable_values() = test::float_tensor("w", {count}, values);
    onnx::TensorProto& places = *sparse.mutable_indices();
    places.set_data_type(onnx::TensorProto::INT64);
    places.add_dims(count);
    if (coordinates) places.add_dims(2);
    for (const std::int64_t index : indices) places.add_int64_data(index);
    sparse.add_dims(32);
    sparse.add_dims(16);
    model.node("MatMul", {"x", "w"}, {"y"}, "unit");
    model.output("y");
    const qvl::QuantizedFile file = quantize(model, "int8");
    EXPECT_EQ(file.quantized, 1);
    expect_product_with(dense);
    places.set_int64_data(0, 40'000);
    try {
      (void)quantize(model);
      FAIL();
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find("the sparse constant w [32, 16] cannot be read: index 40000"),
                std::string::npos)
          << error.what();
    }
  }
}

TEST_F(Kept, SamplesThatReplaceAnInitializerAreRefused) {
  HandMadeModel model;
  model.input("x", {4, 32});
  model.input("w", {32, 16});
  model.floats("w", {32, 16}, test::noise(512, 1));
  model.node("MatMul", {"x", "w"}, {"y"}, "unit");
  model.output("y");
  model.save(folder_.path() / "model.onnx");
  const Tensor x = test::floats_of({4, 32}, test::noise(128, 3));
  const Tensor w = test::floats_of({32, 16}, test::noise(512, 4));
  fs::create_directories(folder_.path() / "data");
  SensitivityOptions options;
  options.model = folder_.path() / "model.onnx";
  options.data = folder_.path() / "data";
  options.report = folder_.path() / "report";
  options.formats = {"int8"};
  options.threads = 1;
  write_safetensors(folder_.path() / "data" / "a.safetensors",
                    std::vector<NamedTensor>{{"x", x.view()}, {"w", w.view()}});
  try {
    (void)measure_sensitivity(options);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("a.safetensors gives w, for which model.onnx has a value"),
              std::string::npos)
        << error.what();
  }
  write_safetensors(folder_.path() / "data" / "a.safetensors", std::vector<NamedTensor>{{"x", x.view()}});
  EXPECT_EQ(measure_sensitivity(options).report.units.size(), 1U);
}

// 24 layers of 16 x 16: a page for each tensor would be more than the weights in f32.
TEST_F(Kept, SmallTensorsAreNotFilledUpToAPage) {
  HandMadeModel model;
  model.input("x", {4, 16});
  std::string value = "x";
  for (unsigned i = 0; i < 24; ++i) {
    const std::string number = std::to_string(i);
    model.floats("w" + number, {16, 16}, test::noise(256, i));
    value = model.node("MatMul", {value, "w" + number}, {i == 23 ? "y" : "h" + number}, "unit" + number)
                .output(0);
  }
  model.output("y");
  const qvl::QuantizedFile file = quantize(model, "int8");
  EXPECT_TRUE(file.notes.empty());
  EXPECT_EQ(fs::file_size(folder_.path() / "out" / "model.onnx_data"), 24U * (256 + 64));
}

TEST_F(Kept, AFileThatGrowsSaysSo) {
  HandMadeModel model;
  model.input("x", {4, 2});
  model.floats("w", {2, 2}, {1, 2, 3, 4});
  model.node("MatMul", {"x", "w"}, {"y"}, "unit");
  model.output("y");
  const qvl::QuantizedFile file = quantize(model, "int8-dynamic");
  ASSERT_EQ(file.notes.size(), 1U);
  EXPECT_EQ(file.notes[0], "it is larger than before, by " +
                               std::to_string(file.bytes_after - file.bytes_before) + " bytes");
}

}  // namespace
}  // namespace qvl
