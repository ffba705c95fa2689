// Slices with the bodies of If, Loop and Scan, for which a runtime needs the shapes outside.
#include <gtest/gtest.h>

#include "onnx/read/model_graph.h"
#include "support/hand_made_model.h"
#include "support/model_run.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using test::add_node;
using test::HandMadeModel;
using test::noise;
using test::Tensors;

// h = x w; s = running sums of the rows of h from `start` (an initializer) on; y = s v. Neither body nor
// graph says more of shapes than the input's.
HandMadeModel summing() {
  HandMadeModel model;
  model.input("x", {5, 4});
  model.floats("w", {4, 3}, noise(12, 1));
  model.floats("v", {3, 2}, noise(6, 2));
  model.floats("start", {3}, {1, 2, 3});
  model.node("MatMul", {"x", "w"}, {"h"}, "m1");
  onnx::NodeProto& scan = model.node("Scan", {"start", "h"}, {"last", "s"}, "scan");
  test::set(scan, "num_scan_inputs", 1);
  onnx::GraphProto& body = test::sub_graph(scan, "body");
  for (const char* name : {"sum", "row"}) {
    onnx::ValueInfoProto& input = *body.add_input();
    input.set_name(name);
    input.mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::FLOAT);
  }
  add_node(body, "Add", {"sum", "row"}, {"next"});
  add_node(body, "Identity", {"next"}, {"given"});
  for (const char* name : {"next", "given"}) {
    onnx::ValueInfoProto& output = *body.add_output();
    output.set_name(name);
    output.mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::FLOAT);
  }
  model.node("MatMul", {"s", "v"}, {"y"}, "m2");
  model.output("y");
  return model;
}

TEST(BodyTypes, SlicesBringAlongWhatBodiesNeed) {
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "m.onnx";
  const HandMadeModel model = summing();
  model.save(file);
  const Tensors inputs{{"x", test::floats_of({5, 4}, noise(20, 3))}};
  const Tensors whole = test::run_model(model.serialize(), file, inputs, {"y"});
  const ModelGraph graph(file);
  ModelSlice first{{0}, {{"x", DType::f32}}, {"h"}, {}};
  const Tensors h = test::run_model(graph.slice(first), file, inputs);
  // The weight of m1 given from outside, its shape unknown: what m1 gives is told all the same.
  ModelSlice all{{0, 1, 2}, {{"x", DType::f32}}, {"y"}, {}};
  all.replacements = {{0, "w_given", OperandRounding::none, "", ""}};
  Tensors given = inputs;
  given["w_given"] = test::floats_of({4, 3}, noise(12, 1));
  const Tensors replaced = test::run_model(graph.slice(all), file, given);
  EXPECT_EQ(test::values_of(replaced.at("y")), test::values_of(whole.at("y")));
  // From in front of the body on.
  const ModelSlice rest{{1, 2}, {{"h", DType::f32}}, {"y"}, {}};
  const Tensors second = test::run_model(graph.slice(rest), file, {{"h", h.at("h")}});
  EXPECT_EQ(test::values_of(second.at("y")), test::values_of(whole.at("y")));
}

}  // namespace
}  // namespace qvl
