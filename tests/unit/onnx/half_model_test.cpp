// Half-precision models, which a ModelGraph computes in f32.
#include <gtest/gtest.h>

#include "core/half.h"
#include "onnx/read/model_graph.h"
#include "support/hand_made_model.h"
#include "support/model_run.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using test::add_node;
using test::HandMadeModel;
using test::kOpen;
using test::noise;
using test::Tensors;
using test::values_of;
using Proto = onnx::TensorProto;

// Twelve roundings to f16 of numbers around 1.
constexpr double kHalfRounding = 12.0 / 2048;

class HalfModelTest : public testing::Test {
 protected:
  const ModelGraph& load(const HandMadeModel& model) {
    model.save(folder_.path() / "model.onnx");
    graph_ = std::make_unique<ModelGraph>(folder_.path() / "model.onnx");
    return *graph_;
  }
  // All nodes.
  [[nodiscard]] std::string whole_slice(const std::vector<ModelSlice::Input>& inputs,
                                        const std::string& output = "y") const {
    ModelSlice slice{{}, inputs, {output}, {}};
    for (std::size_t i = 0; i < graph_->nodes().size(); ++i) slice.nodes.push_back(i);
    return graph_->slice(slice);
  }

  const test::TemporaryFolder folder_;
  std::unique_ptr<ModelGraph> graph_;
};

Tensor widened(const Tensor& half) {
  std::vector<float> values;
  for (const std::uint16_t bits : half.as<std::uint16_t>()) values.push_back(to_float(Half{bits}));
  return test::floats_of(half.shape(), values);
}

void set_half(onnx::NodeProto& node, const std::string& attribute, const std::vector<float>& values) {
  test::set(node, attribute, test::half_tensor("", {static_cast<std::int64_t>(values.size())}, values));
}

// Every place that names a type: ports, initializers, casts, constants in nodes, and the same in sub-graphs.
HandMadeModel half_model() {
  HandMadeModel model;
  model.input("x", {kOpen, 4}, Proto::FLOAT16);
  model.input("condition", {}, Proto::BOOL);
  model.halves("w", {4, 3}, noise(12, 1));
  Proto& typed = model.halves("b", {3}, {});
  typed.clear_raw_data();
  for (const float value : {0.5F, -1.0F, 2.0F}) typed.add_int32_data(to_half(value).bits);
  model.integers("three", {1}, {3});
  model.node("MatMul", {"x", "w"}, {"xw"});
  model.node("Add", {"xw", "b"}, {"sum"});
  test::set(model.node("Cast", {"sum"}, {"wide"}), "to", Proto::FLOAT);
  model.node("Softmax", {"wide"}, {"shares"});
  test::set(model.node("Cast", {"shares"}, {"narrow"}), "to", Proto::FLOAT16);
  set_half(model.node("Constant", {}, {"constant"}), "value", {1, 2, 3});
  set_half(model.node("ConstantOfShape", {"three"}, {"filled"}), "value", {0.25F});
  model.node("Mul", {"narrow", "constant"}, {"scaled"});
  model.node("Add", {"scaled", "filled"}, {"shifted"});
  onnx::NodeProto& choice = model.node("If", {"condition"}, {"chosen"});
  for (const std::string branch : {"then_branch", "else_branch"}) {
    onnx::GraphProto& graph = test::sub_graph(choice, branch);
    *graph.add_initializer() = test::half_tensor("own", {3}, {3, 2, branch == "then_branch" ? 1.0F : -1.0F});
    set_half(add_node(graph, "Constant", {}, {"half"}), "value", {0.5F});
    add_node(graph, "Mul", {"shifted", "own"}, {"product"});
    test::set(add_node(graph, "Cast", {"product"}, {"cast"}), "to", Proto::FLOAT16);
    add_node(graph, "Sub", {"cast", "half"}, {"out"});
    *graph.add_output() = test::value_info("out", {kOpen, 3}, Proto::FLOAT16);
  }
  test::set(model.node("Cast", {"three"}, {"three_as_half"}), "to", Proto::FLOAT16);
  model.node("Div", {"chosen", "three_as_half"}, {"y"});
  model.output("y", Proto::FLOAT16);
  return model;
}

TEST_F(HalfModelTest, ComputesWhatOnnxRuntimeDoesInHalf) {
  const HandMadeModel model = half_model();
  const ModelGraph& graph = load(model);
  EXPECT_EQ(graph.inputs()[0].dtype, DType::f32);
  EXPECT_EQ(graph.outputs()[0].dtype, DType::f32);
  EXPECT_EQ(graph.constant("w")->stored, DType::f16);
  const std::vector<float> x = test::rounded_to_half(noise(20, 2));
  const std::string slice = whole_slice({{"x", DType::f32}, {"condition", DType::boolean}});
  for (const bool condition : {false, true}) {
    const Tensor chosen = test::boolean_of(condition);
    const Tensors in_half = test::run_model(model.serialize(), graph.path(),
                                            {{"x", test::halves_of({5, 4}, x)}, {"condition", chosen}});
    const Tensors found =
        test::run_model(slice, graph.path(), {{"x", test::floats_of({5, 4}, x)}, {"condition", chosen}});
    EXPECT_LT(test::difference(widened(in_half.at("y")), found.at("y")), kHalfRounding);
  }
}

// The values of weights are those of the file; the arithmetic is that of f32.
TEST_F(HalfModelTest, BfloatModelsAreWidenedToo) {
  const std::vector<float> w = noise(12, 1);
  const std::vector<float> x = noise(8, 2);
  HandMadeModel model;
  model.input("x", {2, 4}, Proto::BFLOAT16);
  model.bfloats("w", {4, 3}, w);
  model.node("MatMul", {"x", "w"}, {"xw"});
  test::set(model.node("Cast", {"xw"}, {"y"}), "to", Proto::BFLOAT16);
  model.output("y", Proto::BFLOAT16);
  load(model);
  HandMadeModel plain;
  plain.input("x", {2, 4});
  std::vector<float> rounded;
  for (const float value : w) rounded.push_back(to_float(to_bfloat16(value)));
  plain.floats("w", {4, 3}, rounded);
  plain.node("MatMul", {"x", "w"}, {"y"});
  plain.output("y");
  const Tensors given{{"x", test::floats_of({2, 4}, x)}};
  const Tensors expected = test::run_model(plain.serialize(), graph_->path(), given);
  const Tensors found = test::run_model(whole_slice({{"x", DType::f32}}), graph_->path(), given);
  EXPECT_EQ(values_of(found.at("y")), values_of(expected.at("y")));
}

TEST_F(HalfModelTest, FunctionsOfTheModelAreWidened) {
  HandMadeModel model;
  model.input("x", {2}, Proto::FLOAT16);
  onnx::FunctionProto& function = *model.proto().add_functions();
  function.set_domain("local");
  function.set_name("Twice");
  function.add_opset_import()->set_version(17);
  function.add_input("a");
  function.add_output("b");
  onnx::GraphProto body;  // to make nodes in
  set_half(add_node(body, "Constant", {}, {"two"}), "value", {2});
  test::set(add_node(body, "Cast", {"a"}, {"again"}), "to", Proto::FLOAT16);
  add_node(body, "Mul", {"again", "two"}, {"b"});
  *function.mutable_node() = body.node();
  onnx::OperatorSetIdProto& local = *model.proto().add_opset_import();
  local.set_domain("local");
  local.set_version(1);
  model.node("Twice", {"x"}, {"y"}).set_domain("local");
  model.output("y", Proto::FLOAT16);
  load(model);
  const Tensors found = test::run_model(whole_slice({{"x", DType::f32}}), graph_->path(),
                                        {{"x", test::floats_of({2}, {1.0001F, -3})}});
  EXPECT_EQ(values_of(found.at("y")), (std::vector<float>{2.0002F, -6}));
}

TEST_F(HalfModelTest, ScalesOfQuantizedWeightsAreWidened) {
  HandMadeModel model(19);
  model.proto().set_ir_version(9);
  model.input("x", {1, 2}, Proto::FLOAT16);
  model.bytes("codes", {2, 2}, {1, 2, 3, -4});
  model.halves("scale", {2}, {0.5F, 0.25F});
  test::set(model.node("DequantizeLinear", {"codes", "scale"}, {"w"}), "axis", 1);
  model.node("MatMul", {"x", "w"}, {"y"});
  model.output("y", Proto::FLOAT16);
  load(model);
  const Tensors found = test::run_model(whole_slice({{"x", DType::f32}}), graph_->path(),
                                        {{"x", test::floats_of({1, 2}, {1, 1})}});
  EXPECT_EQ(values_of(found.at("y")), (std::vector<float>{2, -0.5F}));
}

// A table of more than 1 MiB, and a MatMul that reads it, too.
HandMadeModel table_model(std::int64_t rows, const std::vector<float>& table) {
  const auto width = static_cast<std::int64_t>(table.size()) / rows;
  HandMadeModel model;
  model.input("ids", {kOpen}, Proto::INT64);
  model.halves("table", {rows, width}, table);
  model.node("Gather", {"table", "ids"}, {"rows"}, "embed");
  model.node("Transpose", {"table"}, {"turned"});
  model.node("MatMul", {"rows", "turned"}, {"y"});
  model.output("y", Proto::FLOAT16);
  return model;
}

TEST_F(HalfModelTest, LargeTablesStayAsTheyAre) {
  constexpr std::int64_t kRows = 600;
  constexpr std::int64_t kWidth = 1000;
  const std::vector<float> table = noise(kRows * kWidth, 4, 0.1F);
  const std::vector<float> halves = test::rounded_to_half(table);
  const Tensors ids{{"ids", test::integers_of({2}, {599, 3})}};
  std::vector<float> expected(halves.end() - kWidth, halves.end());
  expected.insert(expected.end(), halves.begin() + 3 * kWidth, halves.begin() + 4 * kWidth);
  for (const bool external : {false, true}) {
    HandMadeModel model = table_model(kRows, table);
    if (external) {
      test::make_external(*model.graph().mutable_initializer(0), folder_.path() / "table.bin", "table.bin");
    }
    const ModelGraph& graph = load(model);
    const std::string slice = graph.slice({{0, 1}, {{"ids", DType::i64}}, {"rows"}, {}});
    EXPECT_LT(slice.size(), (external ? 1'000U : kRows * kWidth * 2 + 1'000U));
    const Tensor rows = test::run_model(slice, graph.path(), ids).at("rows");
    EXPECT_EQ(values_of(rows), expected);
    // As a weight it is f32.
    std::vector<float> read(kWidth);
    graph.read_f32("table", 3 * kWidth, read);
    EXPECT_EQ(read, std::vector<float>(expected.begin() + kWidth, expected.end()));
    const Tensor y = test::run_model(whole_slice({{"ids", DType::i64}}), graph.path(), ids).at("y");
    double norm = 0;
    for (std::size_t i = 0; i < kWidth; ++i) norm += static_cast<double>(expected[i]) * expected[i];
    EXPECT_NEAR(y.as<float>()[599], norm, norm * 1e-5);
  }
}

TEST_F(HalfModelTest, SmallTablesAreWidened) {
  const ModelGraph& graph = load(table_model(4, noise(12, 5)));
  EXPECT_EQ(graph.nodes()[0].inputs[0], "table");
  EXPECT_EQ(graph.nodes()[0].outputs[0], "rows");
  const Tensors found = test::run_model(whole_slice({{"ids", DType::i64}}, "rows"), graph.path(),
                                        {{"ids", test::integers_of({1}, {2})}});
  const std::vector<float> halves = test::rounded_to_half(noise(12, 5));
  EXPECT_EQ(values_of(found.at("rows")), std::vector<float>(halves.begin() + 6, halves.begin() + 9));
}

}  // namespace
}  // namespace qvl
