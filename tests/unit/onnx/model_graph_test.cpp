// What a ModelGraph says of a model, and which models it refuses.
#include "onnx/read/model_graph.h"

#include <gtest/gtest.h>

#include <random>

#include "qvl/error.h"
#include "support/error_text.h"
#include "support/hand_made_model.h"
#include "support/model_run.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using test::add_node;
using test::contains;
using test::HandMadeModel;
using test::input_error;
using test::kOpen;
using test::Names;
using Proto = onnx::TensorProto;

class ModelGraphTest : public testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path file() const { return folder_.path() / "model.onnx"; }
  [[nodiscard]] std::filesystem::path save(const HandMadeModel& model) const {
    model.save(file());
    return file();
  }
  // What is wrong with these bytes; empty: nothing.
  [[nodiscard]] std::string error_of(const std::string& bytes) const {
    test::write_file(file(), bytes);
    return input_error([&] { ModelGraph graph(file()); });
  }
  [[nodiscard]] std::string error_of(const HandMadeModel& model) const { return error_of(model.serialize()); }

  const test::TemporaryFolder folder_;
};

// y = relu(x w) + b
HandMadeModel small_model(std::int64_t opset = 17) {
  HandMadeModel model(opset);
  model.input("x", {kOpen, 3});
  model.input("b", {2});  // has an initializer: no input
  model.floats("w", {3, 2}, {1, 2, 3, 4, 5, 6});
  model.floats("b", {2}, {0.5F, -0.5F});
  model.node("MatMul", {"x", "w"}, {"xw"}, "first");
  model.node("Relu", {"xw"}, {"r"}, "second");
  model.node("Add", {"r", "b"}, {"y"}, "third");
  model.output("y");
  return model;
}

TEST_F(ModelGraphTest, ListsNodesPortsAndConstants) {
  HandMadeModel model = small_model();
  test::set(*model.graph().mutable_node(0), "answer", 42);
  model.integers("n", {1}, {7});
  const ModelGraph graph(save(model));
  EXPECT_EQ(graph.path(), file());
  EXPECT_EQ(graph.opset(), 17);
  EXPECT_EQ(graph.files(), std::vector{file()});
  ASSERT_EQ(graph.nodes().size(), 3U);
  EXPECT_EQ(graph.nodes()[0].name, "first");
  EXPECT_EQ(graph.nodes()[0].op, "MatMul");
  EXPECT_EQ(graph.nodes()[0].domain, "");
  EXPECT_EQ(graph.nodes()[0].inputs, (Names{"x", "w"}));
  EXPECT_EQ(graph.nodes()[0].outputs, Names{"xw"});
  EXPECT_TRUE(graph.nodes()[0].captured.empty());
  EXPECT_EQ(graph.attribute(0, "answer", 1), 42);
  EXPECT_EQ(graph.attribute(1, "answer", 1), 1);
  ASSERT_EQ(graph.inputs().size(), 1U);
  EXPECT_EQ(graph.inputs()[0].name, "x");
  EXPECT_EQ(graph.inputs()[0].dtype, DType::f32);
  EXPECT_EQ(graph.inputs()[0].shape, (Shape{kOpen, 3}));
  ASSERT_EQ(graph.outputs().size(), 1U);
  EXPECT_EQ(graph.outputs()[0].name, "y");

  const ModelGraph::Constant* w = graph.constant("w");
  ASSERT_NE(w, nullptr);
  EXPECT_EQ(w->name, "w");
  EXPECT_EQ(w->stored, DType::f32);
  EXPECT_EQ(w->shape, (Shape{3, 2}));
  EXPECT_EQ(w->size_bytes, 24U);
  EXPECT_FALSE(w->external);
  EXPECT_EQ(graph.constant("n")->stored, DType::i64);
  EXPECT_EQ(graph.constant("x"), nullptr);
  EXPECT_EQ(graph.constant("xw"), nullptr);
  EXPECT_TRUE(graph.is_constant("w"));
  EXPECT_TRUE(graph.is_constant("b"));
  EXPECT_FALSE(graph.is_constant("x"));
  EXPECT_FALSE(graph.is_constant("y"));
  EXPECT_EQ(graph.maker_of("r"), std::size_t{1});
  EXPECT_EQ(graph.maker_of("x"), std::nullopt);
  EXPECT_EQ(graph.maker_of("w"), std::nullopt);
}

TEST_F(ModelGraphTest, NodesNeedNoNamesOfTheirOwn) {
  HandMadeModel model = small_model();
  model.graph().mutable_node(0)->clear_name();
  model.graph().mutable_node(1)->set_name("third");
  model.graph().mutable_node(1)->set_domain("ai.onnx");  // another name of the standard one
  const ModelGraph graph(save(model));
  EXPECT_EQ(graph.nodes()[0].name, "");
  EXPECT_EQ(graph.nodes()[1].name, "third");
  EXPECT_EQ(graph.nodes()[1].domain, "");
  EXPECT_EQ(graph.nodes()[2].name, "third");
}

TEST_F(ModelGraphTest, FindsWhatSubGraphsTake) {
  HandMadeModel model;
  model.input("x", {2});
  model.input("condition", {}, Proto::BOOL);
  model.floats("k", {}, {2});
  model.node("Neg", {"x"}, {"minus"});
  onnx::NodeProto& choice = model.node("If", {"condition"}, {"y"});
  onnx::GraphProto& then = test::sub_graph(choice, "then_branch");
  add_node(then, "Mul", {"x", "k"}, {"then_out"});
  *then.add_output() = test::value_info("then_out", {2}, Proto::FLOAT);
  // A sub-graph in a sub-graph; its own values are not captured, whatever their names are outside.
  onnx::GraphProto& other = test::sub_graph(choice, "else_branch");
  *other.add_initializer() = test::float_tensor("own", {2}, {1, 2});
  onnx::NodeProto& inner = add_node(other, "If", {"condition"}, {"else_out"});
  for (const char* branch : {"then_branch", "else_branch"}) {
    onnx::GraphProto& innermost = test::sub_graph(inner, branch);
    add_node(innermost, "Add", {"minus", "own"}, {"inner_out"});
    *innermost.add_output() = test::value_info("inner_out", {2}, Proto::FLOAT);
  }
  *other.add_output() = test::value_info("else_out", {2}, Proto::FLOAT);
  model.output("y");
  const ModelGraph graph(save(model));
  EXPECT_EQ(graph.nodes()[1].inputs, Names{"condition"});
  EXPECT_EQ(graph.nodes()[1].captured, (Names{"condition", "k", "minus", "x"}));
}

TEST_F(ModelGraphTest, LoopBodiesTakeTheirInputsFromTheLoop) {
  HandMadeModel model;
  model.input("x", {2});
  model.integers("turns", {}, {3});
  onnx::NodeProto& loop = model.node("Loop", {"turns", "", "x"}, {"y"});
  onnx::GraphProto& body = test::sub_graph(loop, "body");
  *body.add_input() = test::value_info("turn", {}, Proto::INT64);
  *body.add_input() = test::value_info("go", {}, Proto::BOOL);
  *body.add_input() = test::value_info("state", {2}, Proto::FLOAT);
  add_node(body, "Identity", {"go"}, {"go_on"});
  add_node(body, "Add", {"state", "x"}, {"next"});
  *body.add_output() = test::value_info("go_on", {}, Proto::BOOL);
  *body.add_output() = test::value_info("next", {2}, Proto::FLOAT);
  model.output("y");
  const ModelGraph graph(save(model));
  EXPECT_EQ(graph.nodes()[0].inputs, (Names{"turns", "", "x"}));
  EXPECT_EQ(graph.nodes()[0].captured, Names{"x"});
  EXPECT_FALSE(graph.is_constant("y"));
}

TEST_F(ModelGraphTest, WhatDependsOnNoInputIsConstant) {
  HandMadeModel model;
  model.input("x", {2});
  model.floats("w", {2, 2}, {1, 2, 3, 4});
  model.integers("size", {1}, {2});
  test::set(model.node("Constant", {}, {"made"}), "value", test::float_tensor("", {2}, {1, 2}));
  model.node("ConstantOfShape", {"size"}, {"zeros"});
  model.node("Transpose", {"w"}, {"turned"});
  model.node("Identity", {"turned"}, {"again"});
  model.node("Clip", {"again", "", "made"}, {"clipped"});  // an operand left out
  test::set(model.node("RandomNormal", {}, {"random"}), "shape", std::vector<std::int64_t>{2});
  model.node("RandomNormalLike", {"made"}, {"random_like"});
  model.node("Bernoulli", {"made"}, {"coin"});
  test::set(model.node("Multinomial", {"w"}, {"drawn"}), "sample_size", 1);
  model.node("Add", {"random", "made"}, {"sum"});
  model.node("Add", {"x", "made"}, {"y"});
  model.output("y");
  const ModelGraph graph(save(model));
  for (const char* value : {"w", "size", "made", "zeros", "turned", "again", "clipped"})
    EXPECT_TRUE(graph.is_constant(value)) << value;
  for (const char* value : {"x", "random", "random_like", "coin", "drawn", "sum", "y", "unknown"})
    EXPECT_FALSE(graph.is_constant(value)) << value;
}

TEST_F(ModelGraphTest, ConstantsOfTheSameBytesAreKnown) {
  HandMadeModel model;
  model.input("x", {2});
  model.floats("a", {2, 1}, {1, 2});
  model.floats("b", {2}, {1, 2});
  model.floats("other", {2}, {1, 3});
  test::set(model.node("Constant", {}, {"c"}), "value", test::float_tensor("", {2}, {1, 2}));
  model.node("Add", {"x", "c"}, {"y"});
  model.output("y");
  const ModelGraph graph(save(model));
  ASSERT_NE(graph.constant("c"), nullptr);
  EXPECT_EQ(graph.nodes().size(), 1U);
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(graph.first_alike(name), "a") << name;
  EXPECT_EQ(graph.first_alike("other"), "other");
  std::vector<float> values(2);
  graph.read_f32("c", 0, values);
  EXPECT_EQ(values, (std::vector<float>{1, 2}));
  model.floats("c", {2}, {1, 2});
  EXPECT_TRUE(contains(error_of(model), "two constants are called c"));
}

TEST_F(ModelGraphTest, CapturedInputsMakeABranchDependOnThem) {
  for (const std::string captured : {"x", "w"}) {
    HandMadeModel model;
    model.input("x", {2});
    model.floats("w", {2}, {1, 2});
    test::set(model.node("Constant", {}, {"yes"}), "value", [] {
      onnx::TensorProto yes;
      yes.set_data_type(Proto::BOOL);
      yes.add_int32_data(1);
      return yes;
    }());
    onnx::NodeProto& choice = model.node("If", {"yes"}, {"chosen"});
    for (const char* branch : {"then_branch", "else_branch"}) {
      onnx::GraphProto& graph = test::sub_graph(choice, branch);
      add_node(graph, "Neg", {captured}, {"out"});
      *graph.add_output() = test::value_info("out", {2}, Proto::FLOAT);
    }
    model.node("Add", {"chosen", "x"}, {"y"});
    model.output("y");
    EXPECT_EQ(ModelGraph(save(model)).is_constant("chosen"), captured == "w");
  }
}

TEST_F(ModelGraphTest, RefusesOldOpsets) {
  const std::string error = error_of(small_model(10));
  EXPECT_TRUE(contains(error, "model.onnx is of opset 10; 11 or newer is needed")) << error;
  HandMadeModel none = small_model();
  none.proto().clear_opset_import();
  EXPECT_TRUE(contains(error_of(none), "opset 0"));
  // Of another domain: says nothing about the standard one.
  none.proto().add_opset_import()->set_domain("ai.onnx.ml");
  EXPECT_TRUE(contains(error_of(none), "opset 0"));
}

TEST_F(ModelGraphTest, SlicesOfOpsets11To21Run) {
  const test::Tensors x{{"x", test::floats_of({1, 3}, {1, 0, -1})}};
  for (std::int64_t opset = 11; opset <= 21; ++opset) {
    for (const int ir_version : {3, 8, 10}) {  // 3: initializers used to be inputs, too
      HandMadeModel model = small_model(opset);
      model.proto().set_ir_version(ir_version);
      if (ir_version == 3) model.input("w", {3, 2});
      const ModelGraph graph(save(model));
      EXPECT_EQ(graph.opset(), opset);
      ASSERT_EQ(graph.inputs().size(), 1U);
      const std::string bytes = graph.slice({{0, 1, 2}, {{"x", DType::f32}}, {"y"}, {}});
      const auto outputs = test::run_model(bytes, file(), x);
      EXPECT_EQ(test::values_of(outputs.at("y")), (std::vector<float>{0.5F, -0.5F})) << opset;
    }
  }
}

// What the protobuf classes here do not know: tests/data/model-graph.
TEST_F(ModelGraphTest, FieldsOfNewerVersionsSurvive) {
  const auto path = test::data("model-graph/newer-fields.onnx");
  const ModelGraph graph(path);
  EXPECT_EQ(graph.opset(), 21);
  ASSERT_EQ(graph.nodes().size(), 2U);  // and a Constant node, which is an initializer here
  const std::string bytes = graph.slice({{0, 1}, {{"x", DType::f32}}, {"y"}, {}});
  EXPECT_TRUE(contains(bytes, "metadata of a node"));
  // Two functions of one name, told apart by a field of later versions: the one that the node means
  // was put in its place.
  const auto outputs = test::run_model(bytes, path, {{"x", test::floats_of({2}, {1, -2})}});
  EXPECT_EQ(test::values_of(outputs.at("y")), (std::vector<float>{-30, 60}));
}

TEST_F(ModelGraphTest, RefusesWhatIsNoModel) {
  EXPECT_TRUE(contains(error_of(std::string()), "model.onnx is not an ONNX model"));
  EXPECT_TRUE(contains(error_of(std::string("{\"a\": 1}")), "is not an ONNX model"));
  EXPECT_TRUE(contains(error_of(std::string(1000, '\xff')), "is not an ONNX model"));
  HandMadeModel no_graph;
  no_graph.proto().clear_graph();
  EXPECT_TRUE(contains(error_of(no_graph), "is not an ONNX model"));
  EXPECT_TRUE(contains(input_error([&] { ModelGraph graph(folder_.path() / "none.onnx"); }), "none.onnx"));
  HandMadeModel no_output = small_model();
  no_output.graph().clear_output();
  EXPECT_TRUE(contains(error_of(no_output), "has no output"));
}

TEST_F(ModelGraphTest, RefusesValuesThatAreMadeTwice) {
  HandMadeModel twice = small_model();
  twice.node("Neg", {"x"}, {"r"});
  EXPECT_TRUE(contains(error_of(twice), "two nodes make the value r"));
  // Else what computes a constant would never end.
  HandMadeModel over_initializer = small_model();
  over_initializer.node("Neg", {"w"}, {"w"});
  EXPECT_TRUE(contains(error_of(over_initializer), "makes the value w, which is an initializer"));
}

TEST_F(ModelGraphTest, RefusesImpossibleShapes) {
  HandMadeModel negative = small_model();
  negative.graph().mutable_initializer(0)->set_dims(0, -3);
  EXPECT_TRUE(contains(error_of(negative), "w cannot have the shape [-3, 2]"));
  HandMadeModel huge = small_model();
  huge.graph().mutable_initializer(0)->set_dims(0, std::int64_t{1} << 61);
  EXPECT_TRUE(contains(error_of(huge), "w cannot have the shape"));
}

// Whatever the bytes are: a graph, or an InputError.
TEST_F(ModelGraphTest, BrokenBytesAreInputErrors) {
  HandMadeModel model = small_model();
  onnx::NodeProto& choice = model.node("If", {"x"}, {"chosen"});
  add_node(test::sub_graph(choice, "then_branch"), "Neg", {"x"}, {"out"});
  *model.graph().add_initializer() = test::half_tensor("h", {2}, {1, 2});
  const std::string good = model.serialize();
  std::size_t refused = 0;
  const auto try_bytes = [&](const std::string& bytes) {
    test::write_file(file(), bytes);
    try {
      const ModelGraph graph(file());
      (void)graph.slice({{0, 1, 2}, {{"x", DType::f32}}, {"y"}, {}});
    } catch (const InputError&) {
      ++refused;
    } catch (const UsageError&) {  // a value that nothing gives any more
    }
  };
  for (std::size_t length = 0; length < good.size(); length += 3) try_bytes(good.substr(0, length));
  EXPECT_GT(refused, good.size() / 6);
  std::mt19937 random(1);
  for (int i = 0; i < 200; ++i) {
    std::string bytes = good;
    bytes[random() % bytes.size()] = static_cast<char>(random());
    try_bytes(bytes);
  }
}

}  // namespace
}  // namespace qvl
