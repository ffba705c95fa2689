// Slices whose rotations of queries and keys are one node against the same slices step by step.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>

#include "onnx/read/model_graph.h"
#include "qvl/error.h"
#include "runtime/session.h"
#include "support/hand_made_model.h"
#include "support/model_run.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using test::HandMadeModel;
using test::Names;
using test::noise;

// How the steps of a rotation of x [2, 3, 8] are written.
struct Form {
  bool slices = false;  // else Split
  bool straight_first = true;
  bool x_first = true;       // in x cos
  bool turned_first = true;  // in rotate_half(x) sin
  std::int64_t axis = -1;
};

class RotaryFusionTest : public testing::Test {
 protected:
  static HandMadeModel model(const Form& form) {
    HandMadeModel model;
    model.input("x", {2, 3, test::kOpen});
    model.input("cos", {2, 1, test::kOpen});
    model.input("sin", {2, 1, test::kOpen});
    if (form.slices) {
      model.integers("begin", {1}, {0});
      model.integers("middle", {1}, {4});
      model.integers("end", {1}, {std::numeric_limits<std::int64_t>::max()});
      model.integers("axis", {1}, {form.axis});
      model.node("Slice", {"x", "begin", "middle", "axis"}, {"low"});
      model.node("Slice", {"x", "middle", "end", "axis"}, {"high"});
    } else {
      model.integers("sizes", {2}, {4, 4});
      test::set(model.node("Split", {"x", "sizes"}, {"low", "high"}), "axis", form.axis);
    }
    model.node("Neg", {"high"}, {"minus"}, "neg");
    test::set(model.node("Concat", {"minus", "low"}, {"turned"}), "axis", form.axis);
    model.node("Mul", form.x_first ? Names{"x", "cos"} : Names{"cos", "x"}, {"straight"});
    model.node("Mul", form.turned_first ? Names{"turned", "sin"} : Names{"sin", "turned"}, {"crossed"});
    model.node("Add", form.straight_first ? Names{"straight", "crossed"} : Names{"crossed", "straight"},
               {"y"}, "last");
    model.output("y");
    return model;
  }

  const ModelGraph& load(const HandMadeModel& model) {
    model.save(folder_.path() / "model.onnx");
    graph_ = std::make_unique<ModelGraph>(folder_.path() / "model.onnx");
    return *graph_;
  }
  [[nodiscard]] ModelSlice whole(bool fuse) const {
    ModelSlice slice;
    for (std::size_t i = 0; i < graph_->nodes().size(); ++i) slice.nodes.push_back(i);
    for (const ModelGraph::Port& input : graph_->inputs()) slice.inputs.push_back({input.name, DType::f32});
    for (const ModelGraph::Port& output : graph_->outputs()) slice.outputs.push_back(output.name);
    slice.fuse_rotary = fuse;
    return slice;
  }
  [[nodiscard]] std::vector<OutputTensor> run(const ModelSlice& slice) const {
    SessionOptions options;
    options.threads = 1;
    options.own_operators = true;
    std::vector<NamedTensor> inputs;
    for (const auto& [name, tensor] : inputs_) inputs.push_back({name, tensor.view()});
    return Session::from_bytes(graph_->slice(slice), graph_->path(), options).run(inputs);
  }
  [[nodiscard]] std::int64_t fused(const ModelSlice& slice) const {
    const auto path = folder_.path() / "slice.onnx";
    test::write_file(path, graph_->slice(slice));
    const ModelGraph read(path);
    return std::ranges::count_if(read.nodes(), [](const ModelGraph::Node& node) {
      return node.op == "Rotary" && node.domain == "qvl";
    });
  }
  void expect_same_bits() const {
    const auto plain = run(whole(false));
    const auto with = run(whole(true));
    ASSERT_EQ(plain.size(), with.size());
    for (std::size_t o = 0; o < plain.size(); ++o) {
      ASSERT_EQ(plain[o].shape(), with[o].shape());
      EXPECT_TRUE(std::ranges::equal(plain[o].bytes(), with[o].bytes())) << o;
    }
  }

  const test::TemporaryFolder folder_;
  std::unique_ptr<ModelGraph> graph_;
  test::Tensors inputs_{{"x", test::floats_of({2, 3, 8}, noise(48, 1))},
                        {"cos", test::floats_of({2, 1, 8}, noise(16, 2))},
                        {"sin", test::floats_of({2, 1, 8}, noise(16, 3))}};
};

TEST_F(RotaryFusionTest, GivesTheBitsOfTheSteps) {
  for (int way = 0; way < 32; ++way) {
    SCOPED_TRACE(way);
    Form form{way % 16 >= 8, way % 2 == 0, way / 2 % 2 == 0, way / 4 % 2 == 0};
    if (way >= 16) form.axis = 2;
    load(model(form));
    EXPECT_EQ(fused(whole(true)), 1);
    EXPECT_EQ(fused(whole(false)), 0);
    expect_same_bits();
  }
}

TEST_F(RotaryFusionTest, OnlyWhereItIsOne) {
  const std::vector<std::pair<const char*, std::function<void(HandMadeModel&)>>> changes{
      {"a value between is asked for", [](HandMadeModel& m) { m.output("turned"); }},
      {"a half is taken by another",
       [](HandMadeModel& m) {
         m.node("Relu", {"low"}, {"other"});
         m.output("other");
       }},
      {"another axis", [](HandMadeModel& m) { m.graph().mutable_node(2)->mutable_attribute(0)->set_i(2); }},
      {"halves the other way round",
       [](HandMadeModel& m) {
         m.graph().mutable_node(1)->set_input(0, "low");
         m.graph().mutable_node(2)->set_input(1, "high");
       }},
      {"no Neg", [](HandMadeModel& m) { m.graph().mutable_node(1)->set_op_type("Abs"); }},
      {"cos of another", [](HandMadeModel& m) { m.graph().mutable_node(3)->set_input(0, "sin"); }},
      {"no Add", [](HandMadeModel& m) { m.graph().mutable_node(5)->set_op_type("Sub"); }},
      {"halves that may be unequal",
       [](HandMadeModel& m) { test::set(*m.graph().mutable_node(0), "num_outputs", 2); }},
  };
  for (const auto& [what, change] : changes) {
    SCOPED_TRACE(what);
    HandMadeModel changed = model({});
    change(changed);
    load(changed);
    EXPECT_EQ(fused(whole(true)), 0);
  }
  HandMadeModel unequal = model({});
  const std::int64_t sizes[] = {2, 6};
  unequal.graph().mutable_initializer(0)->set_raw_data(sizes, sizeof(sizes));
  load(unequal);
  EXPECT_EQ(fused(whole(true)), 0);
}

TEST_F(RotaryFusionTest, OnlyWhatLiesInTheSlice) {
  load(model({}));
  ModelSlice slice = whole(true);
  slice.nodes.erase(slice.nodes.begin());  // Split
  slice.inputs.push_back({"low", DType::f32});
  slice.inputs.push_back({"high", DType::f32});
  EXPECT_EQ(fused(slice), 0);
}

// A first half as long as the axis, and one longer: what is turned is x itself.
TEST_F(RotaryFusionTest, WhereThereIsNoSecondHalf) {
  load(model({true}));
  for (const std::int64_t size : {3, 4}) {
    inputs_["x"] = test::floats_of({2, 3, size}, noise(static_cast<std::size_t>(6 * size), 1));
    inputs_["cos"] = test::floats_of({2, 1, size}, noise(static_cast<std::size_t>(2 * size), 2));
    inputs_["sin"] = test::floats_of({2, 1, size}, noise(static_cast<std::size_t>(2 * size), 3));
    expect_same_bits();
  }
}

TEST_F(RotaryFusionTest, ShapesThatDoNotFitEndTheRun) {
  load(model({}));
  ASSERT_EQ(fused(whole(true)), 1);
  inputs_["cos"] = test::floats_of({2, 1, 3}, noise(6, 1));
  try {
    (void)run(whole(true));
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("rotary: x [2, 3, 8]"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace qvl
