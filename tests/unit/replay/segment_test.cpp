// Graphs cut into segments, and what their runs give.
#include "replay/segment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "qvl/error.h"
#include "replay/segment_runner.h"
#include "support/error_text.h"
#include "support/hand_made_model.h"
#include "support/model_run.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using test::HandMadeModel;
using test::kOpen;
using test::noise;
using test::Tensors;
using Names = std::vector<std::string>;
using Changed = std::unordered_set<std::string>;

// One model, taken apart and run piece by piece without quantization.
class Pieces {
 public:
  explicit Pieces(const std::filesystem::path& file, const Changed& changed = {}) : changed_(changed) {
    parts_.push_back(std::make_unique<ModelPart>("model", file, changed));
    weights_.emplace(parts_, std::uint64_t{1} << 30U, 1);
    for (std::size_t i = 0; i < cut().segments.size(); ++i)
      runners_.push_back(std::make_unique<SegmentRunner>(part(), i, *weights_, nullptr, nullptr));
  }

  [[nodiscard]] const ModelPart& part() const { return *parts_.front(); }
  [[nodiscard]] const GraphSegments& cut() const { return part().cut; }

  // The output. At each segment, visit(runner, state, statics, inside), where `inside` holds what is inside.
  using Visit =
      std::function<void(SegmentRunner&, const Values& state, const Values& statics, const Values& inside)>;
  Tensor run(const Tensors& inputs, const Visit& visit = {}) {
    Values statics;
    Values state;
    for (const auto& [name, tensor] : inputs)
      (changed_.contains(name) ? state : statics).emplace(name, HeldTensor::of(tensor));
    statics = run_statics(part(), statics, nullptr);
    const Assignment none(part().units.size());
    for (const auto& runner : runners_) {
      const Values inside = runner->run(state, statics, none, runner->inside_values());
      if (visit) visit(*runner, state, statics, inside);
      for (const std::string& shape : runner->segment().shapes)
        statics.insert_or_assign(shape, inside.at(shape));
      state = runner->run(state, statics, none);
    }
    const TensorView& view = state.at(part().output()).view;
    Tensor output(view.dtype, view.shape);
    std::ranges::copy(view.bytes, output.bytes().begin());
    return output;
  }

 private:
  Changed changed_;
  std::vector<std::unique_ptr<ModelPart>> parts_;
  std::optional<WeightStore> weights_;
  std::vector<std::unique_ptr<SegmentRunner>> runners_;
};

Tensor tensor_of(const HeldTensor& held) {
  Tensor tensor(held.view.dtype, held.view.shape);
  std::ranges::copy(held.view.bytes, tensor.bytes().begin());
  return tensor;
}

void expect_each_unit_once(const ModelPart& part) {
  std::vector<std::size_t> units;
  std::size_t last_node = 0;
  for (const Segment& segment : part.cut.segments) {
    EXPECT_FALSE(segment.units.empty());
    EXPECT_TRUE(std::ranges::is_sorted(segment.nodes));
    EXPECT_GE(segment.nodes.front(), last_node);
    last_node = segment.nodes.back();
    units.insert(units.end(), segment.units.begin(), segment.units.end());
    ASSERT_EQ(segment.tails.size(), segment.units.size());
    for (std::size_t i = 0; i < segment.tails.size(); ++i) {
      const Tail& tail = segment.tails[i];
      EXPECT_EQ(tail.unit, segment.units[i]);
      EXPECT_EQ(tail.nodes.front(), part.units[tail.unit].node);
      EXPECT_TRUE(std::ranges::includes(segment.nodes, tail.nodes));
      EXPECT_NE(std::ranges::find(tail.units, tail.unit), tail.units.end());
    }
  }
  std::vector<std::size_t> all(part.units.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  EXPECT_EQ(units, all);
}

// Running all the segments, and every tail, is running the whole model.
void expect_same_as_whole(Pieces& pieces, const Tensors& inputs) {
  constexpr double kBar = 1e-5;
  expect_each_unit_once(pieces.part());
  const std::string output = pieces.part().output();
  const Tensor whole = test::run_model(test::read_file(pieces.part().graph.path()),
                                       pieces.part().graph.path(), inputs, {output}, true)
                           .at(output);
  const Assignment none(pieces.part().units.size());
  std::size_t compared = 0;
  const auto tails = [&](SegmentRunner& runner, const Values& state, const Values& statics,
                         const Values& inside) {
    for (const Tail& tail : runner.segment().tails) {
      const Values found = runner.run_tail(tail, state, statics, inside, none, true);
      Names expected = runner.segment().outputs;
      expected.push_back(pieces.part().units[tail.unit].output);
      for (const std::string& name : expected) {
        ASSERT_TRUE(found.contains(name)) << name;
        const HeldTensor& value = inside.contains(name) ? inside.at(name) : state.at(name);
        EXPECT_LE(test::difference(tensor_of(value), tensor_of(found.at(name))), kBar) << name;
        ++compared;
      }
      const Values alone = runner.run_unit(tail, state, statics, inside, none);
      ASSERT_EQ(alone.size(), 1U);
      EXPECT_LE(test::difference(tensor_of(inside.at(expected.back())), tensor_of(alone.begin()->second)),
                kBar);
    }
  };
  const Tensor found = pieces.run(inputs, tails);
  EXPECT_GE(compared, 2 * pieces.part().units.size());
  EXPECT_LE(test::difference(whole, found), kBar);
}

Tensors text_inputs() {
  std::vector<std::int64_t> ids;
  for (std::int64_t i = 0; i < 14; ++i) ids.push_back(i * 29 % 300);
  std::vector<std::int64_t> mask(14, 1);
  mask[0] = mask[1] = 0;  // padded left
  return {{"input_ids", test::integers_of({2, 7}, ids)}, {"attention_mask", test::integers_of({2, 7}, mask)}};
}

TEST(Segments, OfForeignFilesGiveWhatTheWholeDoes) {
  const Tensors photo{{"pixel_values", test::floats_of({1, 3, 672, 672}, noise(3 * 672 * 672, 1))}};
  const Tensors small{{"pixel_values", test::floats_of({2, 3, 64, 64}, noise(2 * 3 * 64 * 64, 2))}};
  for (const auto& [file, inputs, least] :
       {std::tuple<std::string, Tensors, std::size_t>{"bert.onnx", text_inputs(), 4},
        {"text.onnx", text_inputs(), 4},
        {"resnet.onnx", small, 4},
        {"vision_672.onnx", photo, 4}}) {
    SCOPED_TRACE(file);
    Pieces pieces(test::data("foreign-onnx") / file);
    EXPECT_GE(pieces.cut().segments.size(), least);  // else nothing is saved
    expect_same_as_whole(pieces, inputs);
  }
}

class SegmentTest : public testing::Test {
 protected:
  // Without inputs and outputs.
  static void add_layer(HandMadeModel& model, const std::string& from, const std::string& to, unsigned seed) {
    model.floats("w " + to, {8, 8}, noise(64, seed, 0.3F));
    model.node("MatMul", {from, "w " + to}, {"product " + to}, to);
    model.node("Tanh", {"product " + to}, {to});
  }
  [[nodiscard]] Pieces pieces(const HandMadeModel& model, const Changed& changed = {}) const {
    model.save(folder_.path() / "model.onnx");
    return Pieces(folder_.path() / "model.onnx", changed);
  }

  const test::TemporaryFolder folder_;
  const Tensors x_{{"x", test::floats_of({3, 8}, noise(24, 1))}};
};

TEST_F(SegmentTest, AChainIsCutBehindEveryUnit) {
  HandMadeModel model;
  model.input("x", {kOpen, 8});
  for (unsigned i = 0; i < 5; ++i)
    add_layer(model, i == 0 ? "x" : "h" + std::to_string(i - 1), "h" + std::to_string(i), i);
  model.output("h4");
  Pieces chain = pieces(model);
  ASSERT_EQ(chain.cut().segments.size(), 5U);
  EXPECT_EQ(chain.cut().statics, Names{"x"});
  EXPECT_TRUE(chain.cut().static_nodes.empty());
  expect_same_as_whole(chain, x_);
}

// h0 goes to the end past everything.
TEST_F(SegmentTest, ASkipConnectionOverEverythingPasses) {
  HandMadeModel model;
  model.input("x", {kOpen, 8});
  for (unsigned i = 0; i < 12; ++i)
    add_layer(model, i == 0 ? "x" : "h" + std::to_string(i - 1), "h" + std::to_string(i), i);
  model.node("Add", {"h11", "h0"}, {"y"});
  model.output("y");
  Pieces skip = pieces(model);
  ASSERT_GE(skip.cut().segments.size(), 11U);
  const Segment& middle = skip.cut().segments[5];
  EXPECT_NE(std::ranges::find(middle.inputs, "h0"), middle.inputs.end());
  EXPECT_NE(std::ranges::find(middle.outputs, "h0"), middle.outputs.end());
  EXPECT_EQ(std::ranges::find(middle.made, "h0"), middle.made.end());
  EXPECT_EQ(std::ranges::find(middle.operands, "h0"), middle.operands.end());
  expect_same_as_whole(skip, x_);
}

// More is alive than at any cut: what cannot be cut stays together.
TEST_F(SegmentTest, ManySkipConnectionsMakeOneSegment) {
  HandMadeModel model;
  model.input("x", {kOpen, 8});
  Names all;
  for (unsigned i = 0; i < 10; ++i) {
    add_layer(model, "x", "h" + std::to_string(i), i);
    all.push_back("h" + std::to_string(i));
  }
  model.node("Sum", all, {"y"});
  model.output("y");
  Pieces dense = pieces(model);
  expect_same_as_whole(dense, x_);
  // What comes of no unit is computed once and given to all.
  EXPECT_LE(dense.cut().segments.size(), 7U);
}

// What only depends on a unit's shape is computed where the unit is, and given to later segments as it was
// without quantization.
TEST_F(SegmentTest, ShapesAreTakenAlong) {
  HandMadeModel model;
  model.input("x", {kOpen, 8});
  model.integers("front", {1}, {0});
  add_layer(model, "x", "h0", 1);
  model.node("Shape", {"h0"}, {"shape"});
  model.node("Gather", {"shape", "front"}, {"length"});
  test::set(model.node("Cast", {"length"}, {"divisor"}), "to", onnx::TensorProto::FLOAT);
  add_layer(model, "h0", "h1", 2);
  add_layer(model, "h1", "h2", 3);
  model.node("Div", {"h2", "divisor"}, {"h3"});
  add_layer(model, "h3", "y", 4);
  model.output("y");
  Pieces shaped = pieces(model);
  const auto& segments = shaped.cut().segments;
  ASSERT_EQ(segments.size(), 4U);
  // The cuts lie behind the products; the shape belongs to the segment that makes h0.
  EXPECT_TRUE(segments[0].shapes.empty());
  EXPECT_EQ(segments[1].shapes, Names{"divisor"});
  EXPECT_TRUE(segments[2].shapes.empty());
  EXPECT_NE(std::ranges::find(segments[3].operands, "divisor"), segments[3].operands.end());
  EXPECT_EQ(shaped.cut().statics, (Names{"divisor", "x"}));
  EXPECT_TRUE(shaped.cut().static_nodes.empty());
  expect_same_as_whole(shaped, x_);
}

// A value that no unit changes, a second output that is carried along, and a branch that nothing needs.
TEST_F(SegmentTest, StaticValuesAreComputedOnceAndTheRestIsLeftOut) {
  HandMadeModel model;
  model.input("x", {kOpen, 8});
  model.node("Abs", {"x"}, {"static"});
  add_layer(model, "x", "h0", 1);
  model.node("Mul", {"h0", "static"}, {"m"});
  add_layer(model, "m", "h1", 2);
  model.node("Mul", {"h1", "static"}, {"y"});
  model.node("Neg", {"h0"}, {"nobody"});
  add_layer(model, "h1", "other", 3);
  model.output("y");
  model.output("other");
  Pieces two = pieces(model);
  EXPECT_EQ(two.part().units.size(), 3U);
  EXPECT_EQ(two.cut().segments.back().outputs, (Names{"other", "y"}));
  EXPECT_EQ(two.cut().segments.back().handed, Names{"other"});
  EXPECT_EQ(two.cut().static_nodes, std::vector<std::size_t>{0});
  EXPECT_EQ(two.cut().statics, (Names{"static", "x"}));
  for (const Segment& segment : two.cut().segments) {
    for (const std::size_t node : segment.nodes) EXPECT_NE(two.part().graph.nodes()[node].op, "Neg");
  }
  expect_same_as_whole(two, x_);
}

TEST_F(SegmentTest, BranchesOfAnIfTakeWhatUnitsGive) {
  HandMadeModel model;
  model.input("x", {kOpen, 8});
  model.input("condition", {}, onnx::TensorProto::BOOL);
  add_layer(model, "x", "h0", 1);
  add_layer(model, "h0", "h1", 2);
  onnx::NodeProto& choice = model.node("If", {"condition"}, {"chosen"});
  for (const auto& [branch, value] : {std::pair{"then_branch", "h0"}, std::pair{"else_branch", "h1"}}) {
    onnx::GraphProto& graph = test::sub_graph(choice, branch);
    test::add_node(graph, "Add", {value, "h1"}, {"out"});
    *graph.add_output() = test::value_info("out", {kOpen, 8}, onnx::TensorProto::FLOAT);
  }
  add_layer(model, "chosen", "y", 3);
  model.output("y");
  Pieces branches = pieces(model);
  for (const bool condition : {false, true}) {
    Tensors inputs = x_;
    inputs["condition"] = test::boolean_of(condition);
    expect_same_as_whole(branches, inputs);
  }
}

// What another quantized model gave lives until it is used, and what depends on it is no static.
TEST_F(SegmentTest, ChangedInputsAreAliveUntilTheyAreUsed) {
  HandMadeModel model;
  model.input("x", {kOpen, 8});
  model.input("e", {kOpen, 8});
  model.node("Neg", {"e"}, {"minus"});
  add_layer(model, "x", "h0", 1);
  add_layer(model, "h0", "h1", 2);
  model.node("Add", {"h1", "minus"}, {"sum"});
  add_layer(model, "sum", "y", 3);
  model.output("y");
  Tensors inputs = x_;
  inputs["e"] = test::floats_of({3, 8}, noise(24, 7));

  Pieces fixed = pieces(model);
  EXPECT_EQ(fixed.cut().static_nodes, std::vector<std::size_t>{0});
  Pieces changed = pieces(model, {"e"});
  EXPECT_TRUE(changed.cut().static_nodes.empty());
  EXPECT_EQ(changed.cut().statics, Names{"x"});
  const Segment& first = changed.cut().segments.front();
  EXPECT_FALSE(first.inputs.empty());
  EXPECT_EQ(changed.cut().segments.back().outputs, Names{"y"});
  expect_same_as_whole(changed, inputs);

  // Used in the last segment only.
  HandMadeModel late;
  late.input("x", {kOpen, 8});
  late.input("e", {kOpen, 8});
  for (unsigned i = 0; i < 10; ++i)
    add_layer(late, i == 0 ? "x" : "h" + std::to_string(i - 1), "h" + std::to_string(i), i);
  late.node("Add", {"h9", "e"}, {"y"});
  late.output("y");
  Pieces passing = pieces(late, {"e"});
  ASSERT_EQ(passing.cut().segments.size(), 10U);
  EXPECT_EQ(passing.cut().segments[0].inputs, Names{"e"});
  EXPECT_EQ(passing.cut().segments[0].operands, Names{"x"});
  EXPECT_EQ(passing.cut().segments[0].outputs, (Names{"e", "product h0"}));
  EXPECT_EQ(passing.cut().segments[0].made, Names{"product h0"});
  expect_same_as_whole(passing, inputs);
}

// The first output of a GRU, twice: once of what a unit gives, once of what none does.
TEST_F(SegmentTest, NodesMayLeaveOutOutputs) {
  HandMadeModel model;
  model.input("x", {kOpen, 8});
  model.floats("input weights", {1, 24, 8}, noise(192, 5, 0.3F));
  model.floats("state weights", {1, 24, 8}, noise(192, 6, 0.3F));
  model.integers("axis", {1}, {1});
  model.integers("flat", {2}, {1, 8});
  add_layer(model, "x", "h0", 1);
  for (const std::string value : {"x", "h0"}) {
    model.node("Unsqueeze", {value, "axis"}, {value + " steps"});
    test::set(model.node("GRU", {value + " steps", "input weights", "state weights"}, {"", value + " state"}),
              "hidden_size", 8);
  }
  model.node("Add", {"x state", "h0 state"}, {"states"});
  model.node("Reshape", {"states", "flat"}, {"sum"});
  add_layer(model, "sum", "y", 2);
  model.output("y");
  Pieces states = pieces(model);
  EXPECT_EQ(states.cut().statics, (Names{"x", "x state"}));
  expect_same_as_whole(states, x_);
}

TEST_F(SegmentTest, WithoutUnitsThereIsNothingToCut) {
  HandMadeModel model;
  model.input("x", {kOpen, 8});
  model.node("Neg", {"x"}, {"y"});
  model.output("y");
  const std::string error = test::input_error([&] { (void)pieces(model); });
  EXPECT_TRUE(test::contains(error, "model.onnx has no unit: no MatMul, Gemm or Conv with a constant weight"))
      << error;
}

}  // namespace
}  // namespace qvl
