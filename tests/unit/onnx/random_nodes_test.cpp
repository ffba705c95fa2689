// Nodes that draw random numbers, as a ModelGraph has them.
#include "onnx/read/random_nodes.h"

#include <gtest/gtest.h>

#include "onnx/read/model_graph.h"
#include "support/hand_made_model.h"
#include "support/model_run.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using test::HandMadeModel;
using test::noise;
using test::Tensors;

HandMadeModel dropping(bool training) {
  HandMadeModel model;
  model.input("x", {8, 16});
  model.floats("ratio", {}, {0.25F});
  onnx::TensorProto& mode = *model.graph().add_initializer();
  mode.set_name("training");
  mode.set_data_type(onnx::TensorProto::BOOL);
  mode.set_raw_data(std::string(1, training ? '\1' : '\0'));
  model.node("Dropout", {"x", "ratio", "training"}, {"y", "mask"}, "drop");
  model.output("y");
  model.output("mask", onnx::TensorProto::BOOL);
  return model;
}

// y is what is kept of x, over 1 - ratio: of the mask that was drawn.
TEST(RandomNodes, ADropoutIsItsMaskAndWhatIsMadeOfIt) {
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "m.onnx";
  dropping(true).save(file);
  const ModelGraph graph(file);
  ASSERT_FALSE(graph.nodes().empty());
  EXPECT_EQ(graph.nodes().front().drawn, std::vector<std::string>{"mask"});
  EXPECT_FALSE(graph.is_constant("mask"));
  ModelSlice slice;
  for (std::size_t i = 1; i < graph.nodes().size(); ++i) slice.nodes.push_back(i);
  slice.inputs = {{"x", DType::f32}, {"mask", DType::boolean}};
  slice.outputs = {"y"};
  const std::vector<float> x = noise(128, 1);
  Tensor mask(DType::boolean, {8, 16});
  for (std::size_t i = 0; i < 128; ++i) mask.bytes()[i] = i % 3 == 0 ? std::byte{1} : std::byte{0};
  const Tensors given{{"x", test::floats_of({8, 16}, x)}, {"mask", std::move(mask)}};
  const std::vector<float> y = test::values_of(test::run_model(graph.slice(slice), file, given).at("y"));
  for (std::size_t i = 0; i < 128; ++i) EXPECT_NEAR(y[i], i % 3 == 0 ? x[i] / 0.75F : 0, 1e-6F) << i;
}

TEST(RandomNodes, ADropoutThatDropsNothingDrawsNothing) {
  const test::TemporaryFolder folder;
  dropping(false).save(folder.path() / "m.onnx");
  const ModelGraph graph(folder.path() / "m.onnx");
  ASSERT_EQ(graph.nodes().size(), 1U);
  EXPECT_TRUE(graph.nodes().front().drawn.empty());
  EXPECT_TRUE(graph.undrawable().empty());
}

TEST(RandomNodes, ASeededSliceDrawsTheSameAgain) {
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "m.onnx";
  HandMadeModel model;
  model.input("x", {40, 3});
  for (const char* name : {"a", "b"}) {
    model.node("RandomNormalLike", {"x"}, {name}, name);
    model.output(name);
  }
  model.save(file);
  const ModelGraph graph(file);
  EXPECT_EQ(graph.nodes()[1].drawn, std::vector<std::string>{"b"});
  ModelSlice slice{{0, 1}, {{"x", DType::f32}}, {"a", "b"}, {}};
  const Tensors x{{"x", test::floats_of({40, 3}, noise(120, 1))}};
  slice.draw_seed = 7;
  const Tensors once = test::run_model(graph.slice(slice), file, x);
  const Tensors again = test::run_model(graph.slice(slice), file, x);
  EXPECT_EQ(test::values_of(once.at("a")), test::values_of(again.at("a")));
  EXPECT_NE(test::values_of(once.at("a")), test::values_of(once.at("b")));
  slice.draw_seed = 8;
  EXPECT_NE(test::values_of(once.at("a")),
            test::values_of(test::run_model(graph.slice(slice), file, x).at("a")));
}

TEST(RandomNodes, ThoseInBodiesAreNamed) {
  HandMadeModel model;
  model.input("c", {1}, onnx::TensorProto::BOOL);
  onnx::NodeProto& choice = model.node("If", {"c"}, {"y"}, "choice");
  for (const char* branch : {"then_branch", "else_branch"}) {
    onnx::GraphProto& body = test::sub_graph(choice, branch);
    onnx::NodeProto& random = test::add_node(body, "RandomUniform", {}, {"r"}, "noise");
    test::set(random, "shape", std::vector<std::int64_t>{2});
    *body.add_output() = test::value_info("r", {2}, onnx::TensorProto::FLOAT);
  }
  model.output("y");
  EXPECT_EQ(undrawable_nodes(model.graph()),
            (std::vector<std::string>{"choice/then_branch/noise (RandomUniform)",
                                      "choice/else_branch/noise (RandomUniform)"}));
  HandMadeModel open = dropping(true);
  open.graph().mutable_node(0)->set_input(2, "given");
  EXPECT_EQ(undrawable_nodes(open.graph()), std::vector<std::string>{"drop (Dropout)"});
}

}  // namespace
}  // namespace qvl
