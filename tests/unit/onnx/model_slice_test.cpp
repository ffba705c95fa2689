// Models made of parts of a ModelGraph, run by ONNX Runtime.
#include "onnx/read/model_slice.h"

#include <gtest/gtest.h>

#include "onnx/read/model_graph.h"
#include "qvl/error.h"
#include "support/hand_made_model.h"
#include "support/model_run.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using test::add_node;
using test::HandMadeModel;
using test::kOpen;
using test::Names;
using test::noise;
using test::Tensors;
using test::values_of;
using Proto = onnx::TensorProto;

class ModelSliceTest : public testing::Test {
 protected:
  // All of these live as long as the test.
  const ModelGraph& load(const HandMadeModel& model) {
    model.save(folder_.path() / "model.onnx");
    graph_ = std::make_unique<ModelGraph>(folder_.path() / "model.onnx");
    return *graph_;
  }
  [[nodiscard]] Tensors run(const ModelSlice& slice, const Tensors& inputs) const {
    return test::run_model(graph_->slice(slice), graph_->path(), inputs);
  }

  const test::TemporaryFolder folder_;
  std::unique_ptr<ModelGraph> graph_;
};

const std::vector<float> kWeight = noise(4 * 3, 1);
const Tensors kX{{"x", test::floats_of({2, 4}, noise(8, 2))}};

// y = relu(x w + b) turned, w2 = Transpose(v)
HandMadeModel two_layers() {
  HandMadeModel model;
  model.input("x", {kOpen, 4});
  model.floats("w", {4, 3}, kWeight);
  model.floats("b", {3}, {0.5F, 0, -0.5F});
  model.floats("v", {2, 3}, noise(6, 3));
  model.node("MatMul", {"x", "w"}, {"xw"});
  model.node("Add", {"xw", "b"}, {"sum"});
  model.node("Relu", {"sum"}, {"h"});
  model.node("Transpose", {"v"}, {"v_turned"});
  model.node("MatMul", {"h", "v_turned"}, {"y"});
  model.output("y");
  return model;
}

TEST_F(ModelSliceTest, PartsComputeWhatTheWholeDoes) {
  const HandMadeModel model = two_layers();
  const Tensors whole = test::run_model(model.serialize(), folder_.path() / "whole.onnx", kX);
  load(model);
  const Tensors first = run({{0, 1, 2}, {{"x", DType::f32}}, {"h", "xw"}, {}}, kX);
  EXPECT_EQ(first.size(), 2U);
  // The transposed weight comes along unasked, and asked for it is there once.
  for (const std::vector<std::size_t>& nodes : {std::vector<std::size_t>{4}, {3, 4}}) {
    const Tensors second = run({nodes, {{"h", DType::f32}}, {"y"}, {}}, {{"h", first.at("h")}});
    EXPECT_EQ(values_of(second.at("y")), values_of(whole.at("y")));
  }
}

TEST_F(ModelSliceTest, ConstantsCanBeOutputs) {
  load(two_layers());
  const Tensors outputs = run({{}, {}, {"v_turned", "b"}, {}}, {});
  EXPECT_EQ(outputs.at("v_turned").shape(), (Shape{3, 2}));
  EXPECT_EQ(values_of(outputs.at("b")), (std::vector<float>{0.5F, 0, -0.5F}));
}

TEST_F(ModelSliceTest, RefusesWhatNothingGives) {
  const ModelGraph& graph = load(two_layers());
  EXPECT_THROW((void)graph.slice({{4}, {}, {"y"}, {}}), UsageError);
  EXPECT_THROW((void)graph.slice({{0}, {{"x", DType::f32}}, {"y"}, {}}), UsageError);
  EXPECT_THROW((void)graph.slice({{0}, {}, {"xw"}, {}}), UsageError);
}

TEST_F(ModelSliceTest, WeightsCanBeGiven) {
  load(two_layers());
  ModelSlice slice{{0, 1, 2, 4}, {{"x", DType::f32}}, {"y"}, {}};
  slice.replacements = {{0, "first", OperandRounding::none, "", ""},
                        {4, "second", OperandRounding::none, "", ""}};
  HandMadeModel other = two_layers();
  const std::vector<float> first = noise(12, 8);
  const std::vector<float> second = noise(6, 9);
  *other.graph().mutable_initializer(0) = test::float_tensor("w", {4, 3}, first);
  *other.graph().mutable_initializer(2) = test::float_tensor("v", {2, 3}, second);
  const Tensors expected = test::run_model(other.serialize(), folder_.path() / "other.onnx", kX);
  Tensors given = kX;
  given["first"] = test::floats_of({4, 3}, first);
  std::vector<float> turned(6);
  for (std::size_t i = 0; i < 6; ++i) turned[i % 3 * 2 + i / 3] = second[i];
  given["second"] = test::floats_of({3, 2}, turned);
  EXPECT_EQ(values_of(run(slice, given).at("y")), values_of(expected.at("y")));
}

// w x is read by two nodes, b by a Gemm and an Add: what is given in place of a weight is one node's alone.
TEST_F(ModelSliceTest, OtherNodesKeepASharedWeight) {
  HandMadeModel model;
  model.input("x", {2, 3});
  model.floats("w", {3, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1});
  model.node("MatMul", {"x", "w"}, {"a"});
  model.node("MatMul", {"a", "w"}, {"y"});
  model.output("y");
  load(model);
  const Tensors outputs =
      run({{0, 1}, {{"x", DType::f32}}, {"y"}, {{0, "new", OperandRounding::none, "", ""}}},
          {{"x", test::floats_of({2, 3}, {1, 2, 3, 4, 5, 6})},
           {"new", test::floats_of({3, 3}, {2, 0, 0, 0, 2, 0, 0, 0, 2})}});
  EXPECT_EQ(values_of(outputs.at("y")), (std::vector<float>{2, 4, 6, 8, 10, 12}));
}

// What a slice gives must be, to the bit, what the operators give that its rounding is made of.
class OperandRoundingTest : public ModelSliceTest {
 protected:
  // y = op(x, w), with `before` the nodes that give the operand
  HandMadeModel reference(const std::string& op, const std::string& rounding) {
    HandMadeModel model;
    model.input("x", {kOpen, kOpen});
    model.floats("w", {4, 3}, kWeight);
    std::string operand = "x";
    if (rounding == "dynamic") {
      model.node("DynamicQuantizeLinear", {"x"}, {"q", "s", "z"});
    } else if (rounding == "fixed") {
      model.floats("s", {}, {0.02F});
      Proto& zero_point = model.bytes("z", {}, {77});
      zero_point.set_data_type(Proto::UINT8);
      model.node("QuantizeLinear", {"x", "s", "z"}, {"q"});
    }
    if (!rounding.empty()) {
      model.node("DequantizeLinear", {"q", "s", "z"}, {"rounded"});
      operand = "rounded";
    }
    Names inputs{operand, "w"};
    if (op == "Gemm") {
      model.floats("b", {3}, {1, 2, 3});
      inputs.emplace_back("b");
    }
    model.node(op, inputs, {"y"});
    model.output("y");
    return model;
  }
};

TEST_F(OperandRoundingTest, IsThatOfTheOperators) {
  for (const std::string op : {"MatMul", "Gemm"}) {
    load(reference(op, ""));
    for (const std::string rounding : {"dynamic", "fixed"}) {
      const Tensors expected =
          test::run_model(reference(op, rounding).serialize(), folder_.path() / "other.onnx", kX);
      ModelSlice slice{{0}, {{"x", DType::f32}}, {"y"}, {}};
      slice.replacements = {{0, "weight",
                             rounding == "fixed" ? OperandRounding::fixed : OperandRounding::dynamic, "scale",
                             "zero point"}};
      Tensors given = kX;
      given["weight"] = test::floats_of({4, 3}, kWeight);
      given["scale"] = test::floats_of({}, {0.02F});
      given["zero point"] = test::byte_of(77);
      EXPECT_EQ(values_of(run(slice, given).at("y")), values_of(expected.at("y"))) << op << " " << rounding;
    }
  }
}

// The operand itself stays as it is for other nodes, and two units that share it round it each in its way.
TEST_F(OperandRoundingTest, IsOneNodesOwn) {
  HandMadeModel model;
  model.input("x", {2, 4});
  model.floats("w", {4, 3}, kWeight);
  for (const char* output : {"plain", "dynamic", "fixed"}) model.node("MatMul", {"x", "w"}, {output});
  model.output("plain");
  load(model);
  ModelSlice slice{{0, 1, 2}, {{"x", DType::f32}}, {"plain", "dynamic", "fixed"}, {}};
  slice.replacements = {{1, "w1", OperandRounding::dynamic, "", ""},
                        {2, "w2", OperandRounding::fixed, "scale", "zero point"}};
  Tensors given = kX;
  given["w1"] = test::floats_of({4, 3}, kWeight);
  given["w2"] = given["w1"];
  given["scale"] = test::floats_of({}, {0.02F});
  given["zero point"] = test::byte_of(77);
  const Tensors found = run(slice, given);
  for (const auto& [output, rounding] :
       {std::pair<std::string, std::string>{"plain", ""}, {"dynamic", "dynamic"}, {"fixed", "fixed"}}) {
    const Tensors expected =
        test::run_model(reference("MatMul", rounding).serialize(), folder_.path() / "other.onnx", kX);
    EXPECT_EQ(values_of(found.at(output)), values_of(expected.at("y"))) << output;
  }
}

TEST_F(ModelSliceTest, SubGraphsTakeTheirValuesAlong) {
  HandMadeModel model;
  model.input("x", {2});
  model.input("condition", {}, Proto::BOOL);
  model.floats("k", {2}, {10, 20});
  model.node("Neg", {"k"}, {"minus_k"});
  model.node("Mul", {"x", "k"}, {"scaled"});
  onnx::NodeProto& choice = model.node("If", {"condition"}, {"y"});
  for (const auto& [branch, op] : {std::pair{"then_branch", "Add"}, std::pair{"else_branch", "Mul"}}) {
    onnx::GraphProto& graph = test::sub_graph(choice, branch);
    add_node(graph, op, {"scaled", "minus_k"}, {"out"});
    *graph.add_output() = test::value_info("out", {2}, Proto::FLOAT);
  }
  model.output("y");
  const ModelGraph& graph = load(model);
  const ModelSlice slice{{2}, {{"scaled", DType::f32}, {"condition", DType::boolean}}, {"y"}, {}};
  const Tensors outputs =
      run(slice, {{"scaled", test::floats_of({2}, {1, 2})}, {"condition", test::boolean_of(true)}});
  EXPECT_EQ(values_of(outputs.at("y")), (std::vector<float>{-9, -18}));
  // What a branch takes must be given as anything else.
  EXPECT_THROW((void)graph.slice({{2}, {{"condition", DType::boolean}}, {"y"}, {}}), UsageError);
}

// As deep as a hostile file may make it.
TEST_F(ModelSliceTest, LongChainsOfConstantsAreNoProblem) {
  constexpr int kLength = 60'000;
  HandMadeModel model;
  model.input("x", {1});
  model.floats("c0", {1}, {1});
  for (int i = 0; i < kLength; ++i)
    model.node("Neg", {"c" + std::to_string(i)}, {"c" + std::to_string(i + 1)});
  model.node("Add", {"x", "c" + std::to_string(kLength)}, {"y"});
  model.output("y");
  const ModelGraph& graph = load(model);
  EXPECT_GT(graph.slice({{kLength}, {{"x", DType::f32}}, {"y"}, {}}).size(), std::size_t{kLength});
}

TEST_F(ModelSliceTest, UnknownTypesComeAlong) {
  HandMadeModel model(21);
  model.proto().set_ir_version(10);
  model.input("x", {1});
  // 4 bits each, two in a byte, the first one below; scales for blocks of 2.
  Proto& packed = model.bytes("packed", {2}, {0x21, static_cast<std::int8_t>(0xF3)});
  packed.set_data_type(22);
  packed.clear_dims();
  packed.add_dims(4);
  model.floats("scale", {2}, {1, 10});
  onnx::NodeProto& dequantize = model.node("DequantizeLinear", {"packed", "scale"}, {"w"});
  test::set(dequantize, "axis", 0);
  test::set(dequantize, "block_size", 2);
  model.node("Mul", {"x", "w"}, {"y"});
  model.output("y");
  const ModelGraph& graph = load(model);
  EXPECT_EQ(graph.constant("packed"), nullptr);
  EXPECT_TRUE(graph.is_constant("w"));
  EXPECT_EQ(values_of(run({{}, {}, {"w"}, {}}, {}).at("w")), (std::vector<float>{1, 2, 30, -10}));
}

}  // namespace
}  // namespace qvl
