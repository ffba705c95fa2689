#include "onnx/rewrite/attention_fusion.h"

#include <cmath>
#include <optional>

namespace qvl {
namespace {

class AttentionFinder {
 public:
  explicit AttentionFinder(const SliceView& view) : view_(view) {}

  // The attention that the node ends.
  [[nodiscard]] std::optional<AttentionFusion> ending_with(std::size_t index) const;

 private:
  [[nodiscard]] bool is_over_last_axis(std::size_t softmax) const;
  // The scores without a mask: fills in q, k, the scale and what is absorbed.
  [[nodiscard]] bool take_scores(const std::string& value, AttentionFusion& fusion) const;
  // The weights of the values; returns the Softmax.
  [[nodiscard]] std::optional<std::size_t> take_weights(const std::string& value,
                                                        AttentionFusion& fusion) const;
  [[nodiscard]] bool take_masked_scores(const std::string& value, AttentionFusion& fusion) const;

  const SliceView& view_;
};

bool AttentionFinder::is_over_last_axis(std::size_t softmax) const {
  const onnx::AttributeProto* const given = view_.attribute(softmax, "axis");
  const std::int64_t axis = given != nullptr ? given->i() : view_.graph().opset < 13 ? 1 : -1;
  if (axis == -1) return true;  // before opset 13, too: all other axes become one
  const std::string& value = view_.node(softmax).outputs.front();
  for (const onnx::ValueInfoProto& info : view_.graph().model.graph().value_info()) {
    if (info.name() == value && info.type().tensor_type().has_shape())
      return axis == info.type().tensor_type().shape().dim_size() - 1;
  }
  return false;
}

bool AttentionFinder::take_scores(const std::string& value, AttentionFusion& fusion) const {
  std::vector<std::size_t> passed;
  auto maker = view_.only_maker(value, passed);
  float scale = 1.0F;
  if (maker && (view_.is(*maker, "Mul", 2) || view_.is(*maker, "Div", 2))) {
    const ModelGraph::Node& node = view_.node(*maker);
    const bool divides = node.op == "Div";
    const std::size_t factor = !divides && view_.number(node.inputs.at(0)) ? 0 : 1;
    const auto found = view_.number(node.inputs.at(factor));
    if (!found) return false;
    scale = divides ? 1.0F / *found : *found;
    passed.push_back(*maker);
    maker = view_.only_maker(node.inputs.at(1 - factor), passed);
  }
  if (!maker || !view_.is(*maker, "MatMul", 2) || !std::isfinite(scale)) return false;
  const ModelGraph::Node& product = view_.node(*maker);
  if (!view_.is_f32(product.inputs.at(0))) return false;
  passed.push_back(*maker);
  fusion.q = product.inputs.at(0);
  fusion.k_transposed = product.inputs.at(1);
  fusion.scale = scale;
  fusion.absorbed.insert(fusion.absorbed.end(), passed.begin(), passed.end());
  return true;
}

bool AttentionFinder::take_masked_scores(const std::string& value, AttentionFusion& fusion) const {
  std::vector<std::size_t> passed;
  const auto maker = view_.only_maker(value, passed);
  if (!maker || !view_.is(*maker, "Add", 2)) return take_scores(value, fusion);
  const ModelGraph::Node& sum = view_.node(*maker);
  for (const std::size_t side : {0U, 1U}) {
    if (!take_scores(sum.inputs.at(side), fusion)) continue;
    fusion.mask = sum.inputs.at(1 - side);
    fusion.absorbed.push_back(*maker);
    fusion.absorbed.insert(fusion.absorbed.end(), passed.begin(), passed.end());
    return true;
  }
  return false;
}

std::optional<std::size_t> AttentionFinder::take_weights(const std::string& value,
                                                         AttentionFusion& fusion) const {
  const auto maker = view_.only_maker(value, fusion.absorbed);
  if (!maker || !view_.is(*maker, "Where", 3)) return maker;
  const ModelGraph::Node& choice = view_.node(*maker);
  const auto test = view_.only_maker(choice.inputs.at(0), fusion.absorbed);
  if (!test || !view_.is(*test, "IsNaN") || view_.node(*test).inputs.at(0) != choice.inputs.at(2) ||
      view_.number(choice.inputs.at(1)) != 0.0F)
    return std::nullopt;
  fusion.absorbed.push_back(*maker);
  fusion.absorbed.push_back(*test);
  fusion.zero_for_nan = true;
  return view_.only_maker(choice.inputs.at(2), fusion.absorbed, 2);
}

std::optional<AttentionFusion> AttentionFinder::ending_with(std::size_t index) const {
  if (!view_.is(index, "MatMul", 2)) return std::nullopt;
  const ModelGraph::Node& node = view_.node(index);
  AttentionFusion fusion;
  fusion.last = index;
  fusion.v = node.inputs.at(1);
  const auto softmax = take_weights(node.inputs.at(0), fusion);
  if (!softmax || !view_.is(*softmax, "Softmax") || !is_over_last_axis(*softmax)) return std::nullopt;
  fusion.absorbed.push_back(*softmax);
  if (!take_masked_scores(view_.node(*softmax).inputs.at(0), fusion)) return std::nullopt;
  return fusion;
}

}  // namespace

std::vector<AttentionFusion> find_attentions(const SliceView& view) {
  return fusions_in(view, AttentionFinder(view));
}

}  // namespace qvl
