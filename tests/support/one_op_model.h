// Models of one unit, each op in its forms, with a sample for them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "support/hand_made_model.h"
#include "support/model_run.h"

namespace qvl::test {

struct OneOpModel {
  std::string name;
  HandMadeModel model;
  Tensors inputs;
  static constexpr const char* kUnit = "/unit";
};

// MatMul, Gemm with all its attributes, Conv with groups, strides, padding and in one dimension, a stack of
// matrices, a vector.
inline std::vector<OneOpModel> one_op_models(std::int64_t opset) {
  std::vector<OneOpModel> models;
  unsigned seed = 1;
  const auto add = [&](const std::string& name, const Shape& input, const Shape& weight,
                       const std::string& op,
                       const std::function<void(HandMadeModel&, onnx::NodeProto&)>& finish) {
    OneOpModel made{name, HandMadeModel(opset), {}};
    const auto count = [](const Shape& shape) { return static_cast<std::size_t>(*element_count(shape)); };
    made.model.input("x", input);
    made.model.floats("w", weight, noise(count(weight), seed++, 0.2F));
    onnx::NodeProto& node = made.model.node(op, {"x", "w"}, {"y"}, OneOpModel::kUnit);
    finish(made.model, node);
    made.model.output("y");
    made.inputs["x"] = floats_of(input, noise(count(input), seed++));
    models.push_back(std::move(made));
  };
  const auto bias = [](HandMadeModel& model, onnx::NodeProto& node, std::int64_t size) {
    model.floats("b", {size}, noise(static_cast<std::size_t>(size), 77));
    node.add_input("b");
  };
  const auto real = [](onnx::NodeProto& node, const char* name, float value) {
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::FLOAT);
    attribute.set_f(value);
  };
  add("matmul", {2, 3, 45}, {45, 7}, "MatMul", [](auto&, auto&) {});
  add("matmul of whole blocks", {5, 64}, {64, 16}, "MatMul", [](auto&, auto&) {});
  add("gemm", {4, 40}, {40, 9}, "Gemm", [&](auto& m, auto& n) { bias(m, n, 9); });
  add("gemm transB alpha beta", {4, 50}, {9, 50}, "Gemm", [&](auto& m, auto& n) {
    bias(m, n, 9);
    set(n, "transB", 1);
    real(n, "alpha", 0.5F);
    real(n, "beta", 2.0F);
  });
  add("gemm transA", {33, 4}, {33, 6}, "Gemm", [](auto&, auto& n) { set(n, "transA", 1); });
  add("conv", {2, 3, 9, 8}, {6, 3, 3, 3}, "Conv", [&](auto& m, auto& n) {
    bias(m, n, 6);
    set(n, "pads", std::vector<std::int64_t>{1, 0, 1, 2});
    set(n, "strides", std::vector<std::int64_t>{2, 1});
  });
  add("conv with groups", {1, 8, 6, 6}, {4, 4, 3, 3}, "Conv", [](auto&, auto& n) { set(n, "group", 2); });
  add("conv in one dimension", {2, 5, 20}, {7, 5, 4}, "Conv", [&](auto& m, auto& n) { bias(m, n, 7); });
  add("stack", {3, 4, 36}, {3, 36, 5}, "MatMul", [](auto&, auto&) {});
  add("vector", {3, 4, 36}, {36}, "MatMul", [](auto&, auto&) {});
  return models;
}

}  // namespace qvl::test
