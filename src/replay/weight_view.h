// Where the numbers of a weight lie, behind nodes that only move them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/shape.h"
#include "onnx/read/model_graph.h"
#include "quant/weight_layout.h"

namespace qvl {

// A constant as a view of another one: element [i, j, ...] is number i x strides[0] + j x strides[1] + ... of
// `source`.
struct WeightView {
  std::string source;
  Shape shape;
  std::vector<std::int64_t> strides;
};

// Goes back through Identity, Transpose, Reshape, Flatten, Squeeze, Unsqueeze and Cast from one
// floating-point type to another that a half-precision graph may have in front of its weights, to an
// initializer or to what other nodes compute. `shape_of` tells the shape of a constant that nodes compute,
// none for numbers that are not f32; it is asked only where the shape does not follow from the initializer's.
// None where it says none, and where the initializer is no floating-point number of at most 32 bits.
using ShapeOf = std::function<std::optional<Shape>(const std::string& value)>;
[[nodiscard]] std::optional<WeightView> view_of(const ModelGraph& graph, const std::string& value,
                                                const ShapeOf& shape_of);

// The layout of the source's numbers where the node that takes the view has `taken` (in any rank; no
// dimension is 0); the axis is `contiguous` where both would be right. None where they lie in neither order.
[[nodiscard]] std::optional<WeightLayout> layout_in_source(const WeightView& view, const WeightLayout& taken);

}  // namespace qvl
