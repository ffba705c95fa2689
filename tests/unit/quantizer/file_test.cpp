// Quantized files that others exported.
#include <gtest/gtest.h>

#include <set>

#include "core/json_text.h"
#include "onnx/read/model_graph.h"
#include "onnx/read/model_summary.h"
#include "qvl/quantize.h"
#include "support/hand_made_model.h"
#include "support/model_run.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using test::HandMadeModel;

class QuantizedFile : public testing::TestWithParam<std::string> {};

TEST_P(QuantizedFile, LoadsAndKeepsItsPorts) {
  const test::TemporaryFolder folder;
  for (const char* format : {"int4:32", "int8", "int8-dynamic"}) {
    QuantizeOptions options;
    options.model = test::data("foreign-onnx/" + GetParam());
    options.format = format;
    options.out = folder.path() / format;
    const QuantizeResult result = quantize_model(options);
    EXPECT_EQ(result.files.front().quantized, result.files.front().units);
    const ModelSummary before = summarize_model(options.model);
    const ModelSummary after = summarize_model(options.out / GetParam());
    ASSERT_EQ(before.outputs.size(), after.outputs.size());
    EXPECT_EQ(before.outputs.front().name, after.outputs.front().name);
    EXPECT_EQ(before.inputs.size(), after.inputs.size());
    // Every name of a node that was replaced is there still, so that reports go on speaking of it.
    std::set<std::string> names;
    const ModelGraph written(options.out / GetParam());
    for (const auto& node : written.nodes()) names.insert(node.name);
    const ModelGraph read(options.model);
    for (const auto& node : read.nodes()) {
      if (node.op == "MatMul" || node.op == "Gemm" || node.op == "Conv") {
        EXPECT_TRUE(names.contains(node.name)) << node.name;
      }
    }
    const Json record = read_json_file(options.out / (GetParam() + ".quantization.json"));
    EXPECT_EQ(record.at("plan").at("units").size(), static_cast<std::size_t>(result.files.front().quantized));
    EXPECT_GE(record.at("tensors").size(), 2U);
  }
}

INSTANTIATE_TEST_SUITE_P(Foreign, QuantizedFile, testing::Values("bert.onnx", "resnet.onnx", "text.onnx"),
                         [](const auto& test) { return test.param.substr(0, test.param.find('.')); });

// A weight behind nodes, one that two nodes share, one that something else takes too, and an unused node.
TEST(QuantizedFileGraph, DropsWhatOnlyTheWeightsTook) {
  const test::TemporaryFolder folder;
  HandMadeModel model;
  model.input("x", {4, 32});
  model.floats("turned", {32, 32}, test::noise(1024, 1));
  model.floats("shared", {32, 32}, test::noise(1024, 2));
  model.floats("taken", {32, 32}, test::noise(1024, 3));
  test::set(model.node("Transpose", {"turned"}, {"w"}, "turn"), "perm", std::vector<std::int64_t>{1, 0});
  model.node("MatMul", {"x", "w"}, {"a"}, "first");
  model.node("MatMul", {"a", "shared"}, {"b"}, "second");
  model.node("MatMul", {"b", "shared"}, {"c"}, "third");
  model.node("MatMul", {"c", "taken"}, {"d"}, "fourth");
  model.node("ReduceSum", {"taken"}, {"sum"}, "other");
  model.node("Add", {"d", "sum"}, {"y"}, "last");
  model.output("y");
  model.save(folder.path() / "model.onnx");
  QuantizeOptions options;
  options.model = folder.path() / "model.onnx";
  options.format = "int4:32";
  options.out = folder.path() / "out";
  EXPECT_EQ(quantize_model(options).files.front().quantized, 4);
  const ModelSummary summary = summarize_model(options.out / "model.onnx");
  EXPECT_EQ(summary.ops, (std::map<std::string, std::int64_t>{
                             {"Add", 1}, {"ReduceSum", 1}, {"com.microsoft::MatMulNBits", 4}}));
  std::set<std::string> names;
  for (const auto& initializer : summary.initializers) names.insert(initializer.name);
  EXPECT_EQ(names, (std::set<std::string>{"taken", "turned.quantized", "turned.scales", "shared.quantized",
                                          "shared.scales", "taken.quantized", "taken.scales"}));
  const test::Tensors inputs{{"x", test::floats_of({4, 32}, test::noise(128, 9))}};
  const auto run = [&](const fs::path& file) {
    return std::move(test::run_model(test::read_file(file), file, inputs, {"y"}).at("y"));
  };
  EXPECT_LT(test::difference(run(options.model), run(options.out / "model.onnx")), 0.5);
}

// Weights outside the file, f16, with parts that are not quantized: they move to the new data file.
TEST(QuantizedFileGraph, CopiesExternalDataThatStays) {
  const test::TemporaryFolder folder;
  HandMadeModel model;
  model.input("x", {4, 32});
  test::make_external(model.floats("w", {32, 16}, test::noise(512, 1)), folder.path() / "w.bin", "w.bin");
  test::make_external(model.floats("kept", {16}, test::noise(16, 2)), folder.path() / "kept.bin", "kept.bin");
  model.node("MatMul", {"x", "w"}, {"a"}, "unit");
  model.node("Add", {"a", "kept"}, {"y"});
  model.output("y");
  model.save(folder.path() / "model.onnx");
  QuantizeOptions options;
  options.model = folder.path() / "model.onnx";
  options.format = "int8:32";
  options.out = folder.path() / "out";
  (void)quantize_model(options);
  std::set<std::string> files;
  for (const auto& entry : fs::directory_iterator(options.out))
    files.insert(entry.path().filename().string());
  EXPECT_EQ(files, (std::set<std::string>{"model.onnx", "model.onnx_data", "model.onnx.quantization.json"}));
  const ModelGraph graph(options.out / "model.onnx");
  std::vector<float> kept(16);
  graph.read_f32("kept", 0, kept);
  EXPECT_EQ(kept, test::noise(16, 2));
  EXPECT_EQ(graph.constant("w"), nullptr);
}

// Two layers that call the model's own functions: what PyTorch's exporters make of modules.
TEST(QuantizedFileGraph, UnitsInsideFunctionsAreQuantized) {
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "model.onnx";
  test::model_of_functions(32).save(file);
  QuantizeOptions options;
  options.model = file;
  options.format = "int4:32";
  options.out = folder.path() / "out";
  EXPECT_EQ(quantize_model(options).files.front().quantized, 4);
  EXPECT_EQ(summarize_model(options.out / "model.onnx").ops.at("com.microsoft::MatMulNBits"), 4);
  const test::Tensors inputs{{"x", test::floats_of({4, 32}, test::noise(128, 9))}};
  const auto run = [&](const fs::path& path) {
    return std::move(test::run_model(test::read_file(path), path, inputs, {"y"}).at("y"));
  };
  const Tensor quantized = run(options.out / "model.onnx");
  EXPECT_LT(test::difference(run(file), quantized), 0.5);
  EXPECT_GT(test::difference(run(file), quantized), 0);
}

TEST(QuantizedFileGraph, RefusesWeightsThatAreNotFinite) {
  const test::TemporaryFolder folder;
  HandMadeModel model;
  model.input("x", {4, 2});
  model.floats("w", {2, 2}, {1, 2, 3, INFINITY});
  model.node("MatMul", {"x", "w"}, {"y"}, "unit");
  model.output("y");
  model.save(folder.path() / "model.onnx");
  QuantizeOptions options;
  options.model = folder.path() / "model.onnx";
  options.format = "int8";
  options.out = folder.path() / "out";
  try {
    (void)quantize_model(options);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("w of unit"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(fs::exists(options.out));
}

}  // namespace
}  // namespace qvl
