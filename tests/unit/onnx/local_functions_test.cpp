// Models whose nodes call functions that they bring along.
#include "onnx/rewrite/local_functions.h"

#include <google/protobuf/message.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "onnx/read/model_graph.h"
#include "qvl/error.h"
#include "support/error_text.h"
#include "support/hand_made_model.h"
#include "support/model_run.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using test::contains;
using test::HandMadeModel;
using test::input_error;
using test::Names;
using test::noise;

class LocalFunctions : public testing::Test {
 protected:
  // A function of the model; its nodes are those of `body`.
  static onnx::FunctionProto& function(HandMadeModel& model, const std::string& name, const Names& inputs,
                                       const Names& outputs, const onnx::GraphProto& body,
                                       const Names& attributes = {}) {
    onnx::FunctionProto& function = *model.proto().add_functions();
    function.set_domain("local");
    function.set_name(name);
    onnx::OperatorSetIdProto& standard = *function.add_opset_import();
    standard.set_version(17);
    onnx::OperatorSetIdProto& own = *function.add_opset_import();
    own.set_domain("local");
    own.set_version(1);
    for (const std::string& input : inputs) function.add_input(input);
    for (const std::string& output : outputs) function.add_output(output);
    for (const std::string& attribute : attributes) function.add_attribute(attribute);
    *function.mutable_node() = body.node();
    return function;
  }
  static onnx::NodeProto& call(onnx::GraphProto& graph, const std::string& name, const Names& inputs,
                               const Names& outputs, const std::string& node = "") {
    onnx::NodeProto& made = test::add_node(graph, name, inputs, outputs, node);
    made.set_domain("local");
    return made;
  }
  // `attribute` of the node is the function's attribute `reference`.
  static void refer(onnx::NodeProto& node, const std::string& attribute, const std::string& reference,
                    onnx::AttributeProto::AttributeType type) {
    onnx::AttributeProto& made = *node.add_attribute();
    made.set_name(attribute);
    made.set_ref_attr_name(reference);
    made.set_type(type);
  }
  static void import_local(HandMadeModel& model) {
    onnx::OperatorSetIdProto& own = *model.proto().add_opset_import();
    own.set_domain("local");
    own.set_version(1);
    model.proto().set_ir_version(8);
  }

  // The graph as qvl sees it gives what ONNX Runtime makes of the file. No local call is left.
  void expect_same(const HandMadeModel& model, const test::Tensors& inputs, bool calls_left = false) {
    const auto file = folder_.path() / "model.onnx";
    model.save(file);
    const ModelGraph graph(file);
    ModelSlice slice;
    for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
      slice.nodes.push_back(i);
      if (!calls_left) {
        EXPECT_EQ(graph.nodes()[i].domain, "") << graph.nodes()[i].name;
      }
    }
    for (const auto& port : graph.inputs()) slice.inputs.push_back({port.name, *port.dtype});
    for (const auto& port : graph.outputs()) slice.outputs.push_back(port.name);
    const auto expected = test::run_model(model.serialize(), file, inputs);
    const auto found = test::run_model(graph.slice(slice), file, inputs);
    ASSERT_EQ(found.size(), expected.size());
    for (const auto& [name, tensor] : expected)
      EXPECT_EQ(test::difference(tensor, found.at(name)), 0) << name;
  }
  std::vector<std::string> names(const HandMadeModel& model) {
    const auto file = folder_.path() / "model.onnx";
    model.save(file);
    const ModelGraph graph(file);
    std::vector<std::string> names;
    for (const auto& node : graph.nodes()) names.push_back(node.name);
    return names;
  }
  std::string error_of(const HandMadeModel& model) {
    const auto file = folder_.path() / "model.onnx";
    model.save(file);
    return input_error([&] { const ModelGraph graph(file); });
  }

  const test::TemporaryFolder folder_;
  const test::Tensors x_{{"x", test::floats_of({2, 4}, noise(8, 1))}};
};

// A layer of two linear modules, called twice, as PyTorch's exporters write modules.
HandMadeModel layers() {
  HandMadeModel model;
  model.input("x", {2, 4});
  for (unsigned i = 0; i < 4; ++i) model.floats("w" + std::to_string(i), {4, 4}, noise(16, 10 + i));
  model.floats("b", {4}, noise(4, 20));
  model.output("y");
  return model;
}

TEST_F(LocalFunctions, NestedCallsBecomeTheirNodes) {
  HandMadeModel model = layers();
  import_local(model);
  onnx::GraphProto linear;
  test::add_node(linear, "MatMul", {"x", "w"}, {"product"}, "multiply");
  test::add_node(linear, "Add", {"product", "b"}, {"y"});
  onnx::GraphProto layer;
  call(layer, "Linear", {"x", "w", "b"}, {"y"}, "up");  // the same names as inside
  test::add_node(layer, "Relu", {"y"}, {"product"}, "act");
  call(layer, "Linear", {"product", "v", "b"}, {"out"}, "down");
  function(model, "Layer", {"x", "w", "v", "b"}, {"out"}, layer);
  function(model, "Linear", {"x", "w", "b"}, {"y"}, linear);
  function(model, "NotCalled", {"x"}, {"y"}, linear);
  call(model.graph(), "Layer", {"x", "w0", "w1", "b"}, {"h"}, "first");
  call(model.graph(), "Layer", {"h", "w2", "w3", "b"}, {"y"});  // named after what it gives
  expect_same(model, x_);
  EXPECT_EQ(names(model),
            (Names{"first/up/multiply", "first/up/Add", "first/act", "first/down/multiply", "first/down/Add",
                   "y/up/multiply", "y/up/Add", "y/act", "y/down/multiply", "y/down/Add"}));
  onnx::ModelProto proto = model.proto();
  inline_local_functions(proto, "model");
  EXPECT_EQ(proto.functions_size(), 0);
}

TEST_F(LocalFunctions, NamesThatAreTaken) {
  HandMadeModel model = layers();
  import_local(model);
  onnx::GraphProto body;
  test::add_node(body, "MatMul", {"x", "w"}, {"inner"});
  test::add_node(body, "Tanh", {"inner"}, {"out"});
  function(model, "F", {"x", "w"}, {"out"}, body);
  // Named after what they give, and a value that the function's could be called.
  call(model.graph(), "F", {"x", "w0"}, {"h/inner"});
  call(model.graph(), "F", {"h/inner", "w1"}, {"h"});
  call(model.graph(), "F", {"h", "w2"}, {"y"}, "h");
  expect_same(model, x_);
}

TEST_F(LocalFunctions, AttributesComeFromTheCallOrAreLeftOut) {
  HandMadeModel model = layers();
  import_local(model);
  onnx::GraphProto body;
  refer(test::add_node(body, "LeakyRelu", {"x"}, {"leaky"}), "alpha", "slope", onnx::AttributeProto::FLOAT);
  refer(test::add_node(body, "Softmax", {"leaky"}, {"y"}), "axis", "axis", onnx::AttributeProto::INT);
  function(model, "F", {"x"}, {"y"}, body, {"slope", "axis"});
  onnx::AttributeProto slope;
  slope.set_name("slope");
  slope.set_type(onnx::AttributeProto::FLOAT);
  slope.set_f(0.25F);
  onnx::NodeProto& with = call(model.graph(), "F", {"x"}, {"h"}, "with");
  *with.add_attribute() = slope;
  test::set(with, "axis", 0);
  call(model.graph(), "F", {"h"}, {"y"}, "without");
  expect_same(model, x_);
}

TEST_F(LocalFunctions, AttributesMayHaveDefaults) {
  HandMadeModel model = layers();
  import_local(model);
  model.proto().set_ir_version(9);
  onnx::GraphProto body;
  refer(test::add_node(body, "LeakyRelu", {"x"}, {"y"}), "alpha", "slope", onnx::AttributeProto::FLOAT);
  onnx::FunctionProto& f = function(model, "F", {"x"}, {"y"}, body);
  onnx::AttributeProto slope;
  slope.set_name("slope");
  slope.set_type(onnx::AttributeProto::FLOAT);
  slope.set_f(0.5F);
  // attribute_proto, which the protobuf classes may not have yet.
  f.GetReflection()->MutableUnknownFields(&f)->AddLengthDelimited(11)->assign(slope.SerializeAsString());
  call(model.graph(), "F", {"x"}, {"h"}, "default");
  slope.set_f(-2);
  *call(model.graph(), "F", {"h"}, {"y"}, "given").add_attribute() = slope;
  expect_same(model, x_);
}

TEST_F(LocalFunctions, OperandsMayBeLeftOut) {
  HandMadeModel model = layers();
  import_local(model);
  onnx::GraphProto body;
  test::add_node(body, "Clip", {"x", "low", "high"}, {"clipped"});
  test::add_node(body, "Neg", {"clipped"}, {"negative"});
  function(model, "F", {"x", "low", "high"}, {"clipped", "negative"}, body);
  model.floats("half", {}, {0.5F});
  call(model.graph(), "F", {"x", "", "half"}, {"c0", "n0"}, "no low");
  call(model.graph(), "F", {"n0", "half"}, {"c1", "n1"}, "no high");
  test::add_node(model.graph(), "Sub", {"c1", "c0"}, {"y"});
  expect_same(model, x_);
}

// What ONNX Runtime does not load.
TEST_F(LocalFunctions, ResultsMayBeLeftOutOrBeOperands) {
  HandMadeModel model = layers();
  import_local(model);
  onnx::GraphProto body;
  test::add_node(body, "Relu", {"x"}, {"r"});
  test::add_node(body, "Neg", {"r"}, {"n"});
  function(model, "F", {"x"}, {"n", "x", "r"}, body);
  call(model.graph(), "F", {"x"}, {"", "same", "r"}, "call");
  test::add_node(model.graph(), "Sub", {"same", "r"}, {"y"});
  onnx::ModelProto proto = model.proto();
  inline_local_functions(proto, "model");
  const auto found = test::run_model(proto.SerializeAsString(), folder_.path() / "model.onnx", x_);
  std::vector<float> expected;
  for (const float x : test::values_of(x_.at("x"))) expected.push_back(x - std::max(x, 0.0F));
  EXPECT_EQ(test::values_of(found.at("y")), expected);
}

TEST_F(LocalFunctions, SubGraphsTakeValuesOfTheFunction) {
  HandMadeModel model = layers();
  import_local(model);
  onnx::GraphProto body;
  test::add_node(body, "ReduceSum", {"x"}, {"sum"});
  test::add_node(body, "Greater", {"sum", "b0"}, {"more"});
  test::add_node(body, "Squeeze", {"more"}, {"positive"});
  onnx::NodeProto& branch = test::add_node(body, "If", {"positive"}, {"y"}, "branch");
  for (const char* name : {"then_branch", "else_branch"}) {
    onnx::GraphProto& graph = test::sub_graph(branch, name);
    graph.set_name(name);
    test::add_node(graph, "MatMul", {"x", "w"}, {"h"});  // h is a value of the calling graph, too
    test::add_node(graph, std::string(name) == "then_branch" ? "Relu" : "Neg", {"h"}, {"out"});
    *graph.add_output() = test::value_info("out", {2, 4}, onnx::TensorProto::FLOAT);
  }
  function(model, "F", {"x", "w", "b0"}, {"y"}, body);
  model.floats("zero", {}, {0});
  call(model.graph(), "F", {"x", "w0", "zero"}, {"h"}, "first");
  test::add_node(model.graph(), "Neg", {"h"}, {"g"});
  call(model.graph(), "F", {"g", "w1", "zero"}, {"y"}, "second");
  expect_same(model, x_);
}

TEST_F(LocalFunctions, CallsInSubGraphsStay) {
  HandMadeModel model = layers();
  import_local(model);
  onnx::GraphProto inner;
  test::add_node(inner, "Neg", {"x"}, {"y"});
  function(model, "Inner", {"x"}, {"y"}, inner);
  onnx::GraphProto body;
  call(body, "Inner", {"x"}, {"y"});
  function(model, "Outer", {"x"}, {"y"}, body);
  model.graph().mutable_initializer()->Add()->CopyFrom([] {
    onnx::TensorProto yes;
    yes.set_name("yes");
    yes.set_data_type(onnx::TensorProto::BOOL);
    yes.add_int32_data(1);
    return yes;
  }());
  onnx::NodeProto& branch = model.node("If", {"yes"}, {"y"}, "branch");
  for (const char* name : {"then_branch", "else_branch"}) {
    onnx::GraphProto& graph = test::sub_graph(branch, name);
    graph.set_name(name);
    call(graph, "Outer", {"x"}, {"out"});
    *graph.add_output() = test::value_info("out", {2, 4}, onnx::TensorProto::FLOAT);
  }
  expect_same(model, x_, true);
  onnx::ModelProto proto = model.proto();
  inline_local_functions(proto, "model");
  EXPECT_EQ(proto.functions_size(), 2);
}

TEST_F(LocalFunctions, NewDomainsAreImported) {
  HandMadeModel model = layers();
  import_local(model);
  onnx::GraphProto body;
  test::add_node(body, "FusedMatMul", {"x", "w"}, {"y"}).set_domain("com.microsoft");
  onnx::FunctionProto& f = function(model, "F", {"x", "w"}, {"y"}, body);
  onnx::OperatorSetIdProto& contrib = *f.add_opset_import();
  contrib.set_domain("com.microsoft");
  contrib.set_version(1);
  call(model.graph(), "F", {"x", "w0"}, {"y"});
  onnx::ModelProto proto = model.proto();
  inline_local_functions(proto, "model");
  EXPECT_TRUE(std::ranges::any_of(proto.opset_import(), [](const onnx::OperatorSetIdProto& set) {
    return set.domain() == "com.microsoft" && set.version() == 1;
  }));
}

TEST_F(LocalFunctions, WhatCannotBePutInPlaceIsRefused) {
  HandMadeModel model = layers();
  import_local(model);
  onnx::GraphProto body;
  call(body, "G", {"x"}, {"y"});
  function(model, "F", {"x"}, {"y"}, body);
  onnx::GraphProto other;
  call(other, "F", {"x"}, {"y"});
  function(model, "G", {"x"}, {"y"}, other);
  call(model.graph(), "F", {"x"}, {"y"}, "start");
  EXPECT_TRUE(contains(error_of(model), "the function F calls itself"));

  model = layers();
  import_local(model);
  onnx::GraphProto neg;
  test::add_node(neg, "Neg", {"x"}, {"y"});
  function(model, "F", {"x"}, {"y"}, neg);
  call(model.graph(), "F", {"x", "b"}, {"y"}, "start");
  EXPECT_TRUE(
      contains(error_of(model), "start calls the function F with 2 operands for 1 results; it has 1 and 1"));

  model = layers();
  import_local(model);
  function(model, "F", {"x", "other"}, {"y", "other"}, neg);
  call(model.graph(), "F", {"x"}, {"h", "y"}, "start");
  EXPECT_TRUE(
      contains(error_of(model), "the function F gives out its operand other, which start leaves out"));
}

// Each function calls the one before it twice.
TEST_F(LocalFunctions, GrowthHasBounds) {
  HandMadeModel model = layers();
  import_local(model);
  onnx::GraphProto neg;
  test::add_node(neg, "Neg", {"x"}, {"y"});
  function(model, "F0", {"x"}, {"y"}, neg);
  for (int i = 1; i <= 40; ++i) {
    onnx::GraphProto twice;
    call(twice, "F" + std::to_string(i - 1), {"x"}, {"h"});
    call(twice, "F" + std::to_string(i - 1), {"h"}, {"y"});
    function(model, "F" + std::to_string(i), {"x"}, {"y"}, twice);
  }
  call(model.graph(), "F40", {"x"}, {"y"}, "start");
  EXPECT_TRUE(
      contains(error_of(model), "with its functions put in place the graph has more than 82000 nodes"));

  model = layers();
  import_local(model);
  function(model, "F0", {"x"}, {"y"}, neg);
  for (int i = 1; i <= 100; ++i) {
    onnx::GraphProto once;
    call(once, "F" + std::to_string(i - 1), {"x"}, {"y"});
    function(model, "F" + std::to_string(i), {"x"}, {"y"}, once);
  }
  call(model.graph(), "F100", {"x"}, {"y"}, "start");
  EXPECT_TRUE(contains(error_of(model), "functions call each other more than 64 deep"));

  // Few nodes, but many bytes in each.
  model = layers();
  import_local(model);
  onnx::GraphProto large;
  onnx::TensorProto tensor;
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  tensor.add_dims(250000);
  tensor.mutable_raw_data()->resize(1000000);
  test::set(test::add_node(large, "Constant", {}, {"c"}), "value", tensor);
  test::add_node(large, "Identity", {"x"}, {"y"});
  function(model, "F0", {"x"}, {"y"}, large);
  for (int i = 1; i <= 12; ++i) {
    onnx::GraphProto twice;
    call(twice, "F" + std::to_string(i - 1), {"x"}, {"h"});
    call(twice, "F" + std::to_string(i - 1), {"h"}, {"y"});
    function(model, "F" + std::to_string(i), {"x"}, {"y"}, twice);
  }
  call(model.graph(), "F12", {"x"}, {"y"}, "start");
  EXPECT_TRUE(contains(error_of(model), "bytes"));
}

}  // namespace
}  // namespace qvl
