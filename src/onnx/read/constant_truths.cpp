#include "onnx/read/constant_truths.h"

#include <algorithm>

#include "onnx/read/node_parts.h"

namespace qvl {
namespace {

std::optional<bool> truth_of(const onnx::TensorProto& tensor) {
  const bool single = std::ranges::all_of(tensor.dims(), [](auto size) { return size == 1; });
  if (tensor.data_type() != onnx::TensorProto::BOOL || !single) return std::nullopt;
  if (tensor.raw_data().size() == 1) return tensor.raw_data()[0] != 0;
  if (tensor.int32_data_size() == 1) return tensor.int32_data(0) != 0;
  return std::nullopt;
}

}  // namespace

void ConstantTruths::learn(const onnx::GraphProto& graph) {
  for (const onnx::TensorProto& tensor : graph.initializer()) learn(tensor, tensor.name());
}

void ConstantTruths::learn(const onnx::TensorProto& tensor, const std::string& name) {
  if (const auto truth = truth_of(tensor)) truths_.insert_or_assign(name, *truth);
}

void ConstantTruths::learn(const onnx::NodeProto& node) {
  if (node.output_size() == 0) return;
  if (is_standard(node, "Constant")) {
    const onnx::AttributeProto* const value = find_attribute(node, "value");
    if (value != nullptr && value->has_t()) learn(value->t(), node.output(0));
    return;
  }
  const auto known = node.input_size() == 1 ? of(node.input(0)) : std::nullopt;
  if (!known) return;
  const onnx::AttributeProto* const to = find_attribute(node, "to");
  if (is_standard(node, "Not")) truths_.insert_or_assign(node.output(0), !*known);
  if (is_standard(node, "Identity") ||
      (is_standard(node, "Cast") && to != nullptr && to->i() == onnx::TensorProto::BOOL))
    truths_.insert_or_assign(node.output(0), *known);
}

std::optional<bool> ConstantTruths::of(const std::string& value) const {
  const auto found = truths_.find(value);
  return found == truths_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace qvl
