// Branches put in the place of If nodes, and units found in bodies.
#include "onnx/rewrite/branches.h"

#include <gtest/gtest.h>

#include "onnx/read/body_units.h"
#include "onnx/read/model_graph.h"
#include "onnx/read/model_summary.h"
#include "qvl/error.h"
#include "support/error_text.h"
#include "support/hand_made_model.h"
#include "support/model_run.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using test::add_node;
using test::HandMadeModel;
using test::noise;
using test::Tensors;

constexpr std::int64_t kWide = 6;

onnx::TensorProto truth(const std::string& name, bool value) {
  onnx::TensorProto tensor;
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::BOOL);
  tensor.add_dims(1);
  tensor.set_raw_data(std::string(1, value ? '\1' : '\0'));
  return tensor;
}

void add_output(onnx::GraphProto& body, const std::string& name) {
  *body.add_output() = test::value_info(name, {4, kWide}, onnx::TensorProto::FLOAT);
}

// then: y = relu(x inner_w) outer_w, by an If in it whose condition is `nested`; else: y = x. What both
// branches name alike ("h") is another value in each.
HandMadeModel branching(const std::string& condition) {
  HandMadeModel model;
  model.input("x", {4, kWide});
  if (condition == "given") {
    model.input("given", {1}, onnx::TensorProto::BOOL);
  } else {
    *model.graph().add_initializer() = truth("fixed", false);
    model.node("Identity", {"fixed"}, {"passed"});
    model.node("Not", {"passed"}, {"negated"});
  }
  model.floats("outer_w", {kWide, kWide}, noise(kWide * kWide, 1));
  model.node("Tanh", {"x"}, {"t"}, "/before");
  onnx::NodeProto& choice = model.node("If", {condition}, {"y"}, "/choice");
  onnx::GraphProto& then = test::sub_graph(choice, "then_branch");
  *then.add_initializer() = test::float_tensor("w", {kWide, kWide}, noise(kWide * kWide, 2));
  *then.add_initializer() = truth("nested", true);
  add_node(then, "MatMul", {"t", "w"}, {"h"}, "first");
  onnx::NodeProto& inner = add_node(then, "If", {"nested"}, {"r"}, "inner");
  onnx::GraphProto& deep = test::sub_graph(inner, "then_branch");
  add_node(deep, "Relu", {"h"}, {"deep"});
  add_output(deep, "deep");
  onnx::GraphProto& other = test::sub_graph(inner, "else_branch");
  add_node(other, "MatMul", {"h", "outer_w"}, {"shallow"}, "unused");
  add_output(other, "shallow");
  add_node(then, "MatMul", {"r", "outer_w"}, {"z"}, "second");
  add_output(then, "z");
  onnx::GraphProto& otherwise = test::sub_graph(choice, "else_branch");
  add_node(otherwise, "Identity", {"t"}, {"h"});
  add_output(otherwise, "h");
  model.output("y");
  return model;
}

const Tensors kX{{"x", test::floats_of({4, kWide}, noise(4 * kWide, 3))}};

std::vector<std::string> names_of(const onnx::GraphProto& graph) {
  std::vector<std::string> names;
  for (const onnx::NodeProto& node : graph.node()) names.push_back(node.name());
  return names;
}

TEST(Branches, AConstantConditionPutsItsBranchInPlace) {
  HandMadeModel model = branching("negated");
  const test::TemporaryFolder folder;
  const auto place = folder.path() / "m.onnx";
  const Tensors before = test::run_model(model.serialize(), place, kX);
  put_branches_in_place(model.proto(), {}, "m.onnx");
  EXPECT_EQ(names_of(model.graph()),
            (std::vector<std::string>{"", "", "/before", "/choice/then_branch/first",
                                      "/choice/then_branch/inner/then_branch/Relu:deep",
                                      "/choice/then_branch/second"}));
  const Tensors after = test::run_model(model.serialize(), place, kX);
  EXPECT_EQ(test::values_of(before.at("y")), test::values_of(after.at("y")));
}

TEST(Branches, AGivenOneIsPutInPlaceAndWhatIsHandedThroughStays) {
  const test::TemporaryFolder folder;
  const auto place = folder.path() / "m.onnx";
  for (const bool taken : {true, false}) {
    HandMadeModel model = branching("given");
    Tensors inputs = kX;
    Tensor condition(DType::boolean, {1});
    condition.bytes()[0] = taken ? std::byte{1} : std::byte{0};
    inputs["given"] = std::move(condition);
    const Tensors before = test::run_model(model.serialize(), place, inputs);
    put_branches_in_place(model.proto(), {{"y", taken}}, "m.onnx");
    for (const onnx::NodeProto& node : model.graph().node()) EXPECT_NE(node.op_type(), "If") << taken;
    const Tensors after = test::run_model(model.serialize(), place, inputs);
    EXPECT_EQ(test::values_of(before.at("y")), test::values_of(after.at("y"))) << taken;
  }
}

// An If of the branch that gives the result has the outer one's output once it is in place.
TEST(Branches, OneThatGivesTheResultOfAnotherIsAChoiceOfItsOwn) {
  const auto nested = [] {
    HandMadeModel model;
    model.input("x", {4, kWide});
    for (const char* name : {"outer", "inner"}) model.input(name, {1}, onnx::TensorProto::BOOL);
    onnx::NodeProto& choice = model.node("If", {"outer"}, {"y"}, "/choice");
    onnx::GraphProto& then = test::sub_graph(choice, "then_branch");
    onnx::NodeProto& last = add_node(then, "If", {"inner"}, {"r"}, "last");
    for (const auto& [branch, op] : {std::pair{"then_branch", "Relu"}, std::pair{"else_branch", "Neg"}}) {
      onnx::GraphProto& body = test::sub_graph(last, branch);
      add_node(body, op, {"x"}, {"given"});
      add_output(body, "given");
    }
    add_output(then, "r");
    onnx::GraphProto& otherwise = test::sub_graph(choice, "else_branch");
    add_node(otherwise, "Tanh", {"x"}, {"h"});
    add_output(otherwise, "h");
    model.output("y");
    return model;
  };
  HandMadeModel outer = nested();
  put_branches_in_place(outer.proto(), {{"y", true}}, "m.onnx");
  ASSERT_EQ(outer.graph().node_size(), 1);
  EXPECT_EQ(outer.graph().node(0).op_type(), "If");
  EXPECT_EQ(outer.graph().node(0).input(0), "inner");
  for (const bool taken : {true, false}) {
    HandMadeModel both = nested();
    put_branches_in_place(both.proto(), {{"y", true}, {"y", taken}}, "m.onnx");
    ASSERT_EQ(both.graph().node_size(), 1);
    EXPECT_EQ(both.graph().node(0).op_type(), taken ? "Relu" : "Neg");
  }
}

TEST(Branches, OpenConditionsStay) {
  HandMadeModel model = branching("given");
  const std::string before = model.serialize();
  put_branches_in_place(model.proto(), {}, "m.onnx");
  EXPECT_EQ(model.serialize(), before);
}

TEST(Branches, RefusesABranchThatGivesTooLittle) {
  HandMadeModel model = branching("negated");
  model.graph().mutable_node(3)->add_output("more");
  const std::string error = test::input_error([&] { put_branches_in_place(model.proto(), {}, "m.onnx"); });
  EXPECT_NE(error.find("the then_branch of /choice does not give the 2 values"), std::string::npos) << error;
}

// Named as they are called where the branch is put in place; the shared weight once by its name.
TEST(BodyUnits, AreFoundInBodiesOfBodies) {
  const std::vector<BodyUnit> units = units_in_bodies(branching("given").graph());
  ASSERT_EQ(units.size(), 3U);
  EXPECT_EQ(units[0].name, "/choice/then_branch/first");
  EXPECT_EQ(units[0].weight, "/choice/then_branch/w");
  EXPECT_EQ(units[1].name, "/choice/then_branch/inner/else_branch/unused");
  EXPECT_EQ(units[1].weight, "outer_w");
  EXPECT_EQ(units[2].name, "/choice/then_branch/second");
  for (const BodyUnit& unit : units) {
    EXPECT_EQ(unit.control, "If");
    EXPECT_EQ(unit.op, "MatMul");
    EXPECT_EQ(unit.parameters, kWide * kWide);
  }
}

TEST(BodyUnits, AreToldByTheSummary) {
  const std::string open = branching("given").serialize();
  EXPECT_EQ(summarize_model(std::as_bytes(std::span(open)), "m.onnx").body_units.size(), 3U);
  const std::string fixed = branching("negated").serialize();
  EXPECT_EQ(summarize_model(std::as_bytes(std::span(fixed)), "m.onnx").body_units.size(), 0U);
}

TEST(BodyUnits, ABodyDoesNotTakeItsOwnInputsForConstants) {
  HandMadeModel model;
  model.input("x", {4, kWide});
  model.floats("w", {kWide, kWide}, noise(kWide * kWide, 1));
  onnx::NodeProto& scan = model.node("Scan", {"x"}, {"y"}, "/scan");
  test::set(scan, "num_scan_inputs", 1);
  onnx::GraphProto& body = test::sub_graph(scan, "body");
  *body.add_input() = test::value_info("w_of_body", {kWide}, onnx::TensorProto::FLOAT);
  add_node(body, "MatMul", {"w_of_body", "w"}, {"z"}, "step");
  *body.add_output() = test::value_info("z", {kWide}, onnx::TensorProto::FLOAT);
  model.output("y");
  const std::vector<BodyUnit> units = units_in_bodies(model.graph());
  ASSERT_EQ(units.size(), 1U);
  EXPECT_EQ(units[0].name, "/scan/body/step");
  EXPECT_EQ(units[0].control, "Scan");
}

}  // namespace
}  // namespace qvl
