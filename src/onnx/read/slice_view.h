// The nodes of a slice, asked for what fusions look for. Internal to this layer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "onnx/read/model_graph_state.h"
#include "onnx/read/model_slice.h"

namespace qvl {

class SliceView {
 public:
  // Both must outlive it. For is() and only_maker(), nodes whose weight is replaced are none of the slice.
  SliceView(const ModelGraph::State& graph, const ModelSlice& slice);

  // In the slice's order, those too whose weight is replaced.
  [[nodiscard]] const std::vector<std::size_t>& nodes() const noexcept { return slice_.nodes; }
  [[nodiscard]] const ModelGraph::Node& node(std::size_t index) const { return graph_.nodes[index]; }
  // An attribute of the node; null where it has none of that name.
  [[nodiscard]] const onnx::AttributeProto* attribute(std::size_t index, std::string_view name) const;
  // Whether it is a node of the slice, of this standard operator, with so many operands or more and a result.
  [[nodiscard]] bool is(std::size_t index, std::string_view op, std::size_t operands = 1) const;
  // The node of the slice that makes a value which so many others take; passes over casts to f32, which do
  // nothing in a graph that has been widened to it, and adds them to `passed`.
  [[nodiscard]] std::optional<std::size_t> only_maker(std::string value, std::vector<std::size_t>& passed,
                                                      std::size_t takers = 1) const;
  // The value of a floating-point constant of one element and at most two dimensions.
  [[nodiscard]] std::optional<float> number(const std::string& value) const;
  // The values of a constant of whole numbers that lies in the model.
  [[nodiscard]] std::optional<std::vector<std::int64_t>> integers(const std::string& value) const;
  // Whether it is known to be f32.
  [[nodiscard]] bool is_f32(std::string value) const;
  [[nodiscard]] const ModelGraph::State& graph() const noexcept { return graph_; }

 private:
  [[nodiscard]] std::optional<onnx::TensorProto> constant(const std::string& value) const;

  const ModelGraph::State& graph_;
  const ModelSlice& slice_;
  std::unordered_set<std::size_t> nodes_;
  std::unordered_map<std::string, DType> given_;
  std::unordered_map<std::string, std::size_t> takers_;
};

// What the finder's ending_with(), which gives an optional fusion, finds for the nodes of the slice.
template <class Finder>
[[nodiscard]] auto fusions_in(const SliceView& view, const Finder& finder) {
  std::vector<typename decltype(finder.ending_with(0))::value_type> found;
  for (const std::size_t index : view.nodes()) {
    if (auto fusion = finder.ending_with(index)) found.push_back(std::move(*fusion));
  }
  return found;
}

}  // namespace qvl
