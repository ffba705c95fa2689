#include "onnx/rewrite/rotary_fusion.h"

#include <cstdint>
#include <limits>
#include <optional>

namespace qvl {
namespace {

class RotaryFinder {
 public:
  explicit RotaryFinder(const SliceView& view) : view_(view) {}

  // The rotation that the node ends.
  [[nodiscard]] std::optional<RotaryFusion> ending_with(std::size_t index) const;

 private:
  struct Half {
    std::string x;
    bool second = false;
    std::int64_t axis = -1;
    std::int64_t middle = 0;  // 0: whatever is half of the axis
    std::size_t node = 0;
  };
  [[nodiscard]] std::optional<Half> half(const std::string& value, std::vector<std::size_t>& passed) const;
  [[nodiscard]] std::optional<Half> half_of_split(std::size_t index, const std::string& value) const;
  [[nodiscard]] std::optional<Half> half_of_slice(std::size_t index) const;
  // `value` is rotate_half of the x that is returned.
  [[nodiscard]] std::optional<Half> turned(const std::string& value, std::vector<std::size_t>& passed) const;

  const SliceView& view_;
};

std::optional<RotaryFinder::Half> RotaryFinder::half_of_split(std::size_t index,
                                                              const std::string& value) const {
  const ModelGraph::Node& node = view_.node(index);
  const onnx::AttributeProto* const axis = view_.attribute(index, "axis");
  // With num_outputs the halves may be unequal.
  if (node.outputs.size() != 2 || view_.attribute(index, "num_outputs") != nullptr) return std::nullopt;
  Half half{node.inputs.front(), node.outputs[1] == value, axis == nullptr ? 0 : axis->i(), 0, index};
  if (node.inputs.size() > 1) {
    const auto sizes = view_.integers(node.inputs[1]);
    if (!sizes || sizes->size() != 2 || (*sizes)[0] != (*sizes)[1]) return std::nullopt;
  }
  const onnx::AttributeProto* const sizes = view_.attribute(index, "split");  // before opset 13
  if (sizes != nullptr && (sizes->ints_size() != 2 || sizes->ints(0) != sizes->ints(1))) return std::nullopt;
  return half;
}

std::optional<RotaryFinder::Half> RotaryFinder::half_of_slice(std::size_t index) const {
  const ModelGraph::Node& node = view_.node(index);
  const auto one = [&](std::size_t operand) -> std::optional<std::int64_t> {
    const auto values = view_.integers(node.inputs[operand]);
    if (!values || values->size() != 1) return std::nullopt;
    return values->front();
  };
  const auto start = one(1);
  const auto end = one(2);
  const auto axis = one(3);
  if (!start || !end || !axis || (node.inputs.size() > 4 && one(4) != 1)) return std::nullopt;
  if (*start == 0 && *end > 0) return Half{node.inputs[0], false, *axis, *end, index};
  const bool to_the_end = *end >= std::numeric_limits<std::int32_t>::max();
  if (*start > 0 && to_the_end) return Half{node.inputs[0], true, *axis, *start, index};
  return std::nullopt;
}

std::optional<RotaryFinder::Half> RotaryFinder::half(const std::string& value,
                                                     std::vector<std::size_t>& passed) const {
  const auto maker = view_.only_maker(value, passed);
  if (!maker) return std::nullopt;
  if (view_.is(*maker, "Split")) return half_of_split(*maker, value);
  if (view_.is(*maker, "Slice", 4)) return half_of_slice(*maker);
  return std::nullopt;
}

std::optional<RotaryFinder::Half> RotaryFinder::turned(const std::string& value,
                                                       std::vector<std::size_t>& passed) const {
  const auto concat = view_.only_maker(value, passed);
  if (!concat || !view_.is(*concat, "Concat", 2) || view_.node(*concat).inputs.size() != 2)
    return std::nullopt;
  const onnx::AttributeProto* const axis = view_.attribute(*concat, "axis");
  passed.push_back(*concat);
  const auto neg = view_.only_maker(view_.node(*concat).inputs[0], passed);
  if (!neg || !view_.is(*neg, "Neg")) return std::nullopt;
  passed.push_back(*neg);
  const auto first = half(view_.node(*neg).inputs[0], passed);
  const auto second = half(view_.node(*concat).inputs[1], passed);
  if (!first || !second || axis == nullptr || first->axis != axis->i() || second->axis != axis->i() ||
      !first->second || second->second || first->x != second->x || first->middle != second->middle ||
      (first->middle == 0) != (first->node == second->node))
    return std::nullopt;
  passed.push_back(first->node);
  if (second->node != first->node) passed.push_back(second->node);
  return first;
}

std::optional<RotaryFusion> RotaryFinder::ending_with(std::size_t index) const {
  if (!view_.is(index, "Add", 2)) return std::nullopt;
  for (const std::size_t side : {1U, 0U}) {
    RotaryFusion fusion;
    fusion.last = index;
    const auto straight = view_.only_maker(view_.node(index).inputs[1 - side], fusion.absorbed);
    const auto crossed = view_.only_maker(view_.node(index).inputs[side], fusion.absorbed);
    if (!straight || !crossed || !view_.is(*straight, "Mul", 2) || !view_.is(*crossed, "Mul", 2))
      return std::nullopt;
    fusion.absorbed.push_back(*straight);
    fusion.absorbed.push_back(*crossed);
    const auto& factors = view_.node(*crossed).inputs;
    for (const std::size_t place : {0U, 1U}) {
      std::vector<std::size_t> passed;
      const auto half = turned(factors[place], passed);
      if (!half) continue;
      const auto& others = view_.node(*straight).inputs;
      if (others[0] != half->x && others[1] != half->x) continue;
      if (!view_.is_f32(half->x)) return std::nullopt;
      fusion.x = half->x;
      fusion.axis = half->axis;
      fusion.middle = half->middle;
      fusion.cos = others[0] == half->x ? others[1] : others[0];
      fusion.sin = factors[1 - place];
      fusion.absorbed.insert(fusion.absorbed.end(), passed.begin(), passed.end());
      return fusion;
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<RotaryFusion> find_rotaries(const SliceView& view) {
  return fusions_in(view, RotaryFinder(view));
}

}  // namespace qvl
