#include "replay/weight_view.h"

#include <algorithm>
#include <numeric>
#include <span>

namespace qvl {
namespace {

// ONNX's numbers; half-precision types are f32 in a ModelGraph.
constexpr std::int64_t kFloat = 1;
constexpr std::int64_t kDouble = 11;

std::vector<std::int64_t> row_major(const Shape& shape) {
  std::vector<std::int64_t> strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

bool keeps_order(const ModelGraph::Node& node) {
  return node.op == "Reshape" || node.op == "Flatten" || node.op == "Squeeze" || node.op == "Unsqueeze";
}

bool is_wide_cast(const ModelGraph& graph, std::size_t index) {
  if (graph.nodes()[index].op != "Cast") return false;
  const std::int64_t to = graph.attribute(index, "to", 0);
  return to == kFloat || to == kDouble;
}

bool moves(const ModelGraph& graph, std::size_t index) {
  const ModelGraph::Node& node = graph.nodes()[index];
  if (!node.domain.empty() || node.inputs.empty() || node.outputs.empty()) return false;
  return node.op == "Identity" || node.op == "Transpose" || keeps_order(node) || is_wide_cast(graph, index);
}

// One stride for neighbouring dimensions; 0 where all have one element, none where there is no such stride.
std::optional<std::int64_t> merged(std::span<const std::int64_t> shape,
                                   std::span<const std::int64_t> strides) {
  std::int64_t stride = 0;
  std::int64_t reach = 0;  // what the dimension before these should have for its stride
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 1) continue;
    if (stride == 0) {
      stride = strides[i];
    } else if (strides[i] != reach) {
      return std::nullopt;
    }
    reach = strides[i] * shape[i];
  }
  return stride;
}

class Viewer {
 public:
  Viewer(const ModelGraph& graph, const ShapeOf& shape_of) : graph_(graph), shape_of_(shape_of) {}

  std::optional<WeightView> view(const std::string& value) {
    std::vector<std::size_t> chain;  // from the value back
    std::string source = value;
    for (auto maker = graph_.maker_of(source); maker && moves(graph_, *maker);
         maker = graph_.maker_of(source)) {
      chain.push_back(*maker);
      source = graph_.nodes()[*maker].inputs.front();
    }
    if (!begin(source)) {
      // Integers, or what is not f32: the numbers begin where they are made floating.
      const auto cast =
          std::ranges::find_if(chain, [&](std::size_t index) { return is_wide_cast(graph_, index); });
      if (cast == chain.end() || !restart(*cast)) return std::nullopt;
      chain.erase(cast, chain.end());
    }
    for (; !chain.empty(); chain.pop_back()) {
      if (!pass(chain.back())) return std::nullopt;
    }
    if (is_double_) return std::nullopt;
    return view_;
  }

 private:
  // At an initializer, or at what other nodes compute.
  bool begin(const std::string& source) {
    const ModelGraph::Constant* const constant = graph_.constant(source);
    if (constant == nullptr) return computed(source);
    if (!is_floating(constant->stored)) return false;
    is_double_ = constant->stored == DType::f64;
    view_ = {source, constant->shape, row_major(constant->shape)};
    return true;
  }
  bool computed(const std::string& source) {
    const auto shape = shape_of_(source);
    if (!shape) return false;
    is_double_ = false;
    view_ = {source, *shape, row_major(*shape)};
    return true;
  }
  bool restart(std::size_t node) { return computed(graph_.nodes()[node].outputs.front()); }

  bool pass(std::size_t index) {
    const ModelGraph::Node& node = graph_.nodes()[index];
    if (node.op == "Cast") is_double_ = graph_.attribute(index, "to", 0) == kDouble;
    if (node.op == "Transpose") return turn(graph_.attributes(index, "perm"));
    if (!keeps_order(node)) return true;
    if (view_.strides != row_major(view_.shape)) return restart(index);
    const auto shape = shape_of_(node.outputs.front());
    if (!shape) return false;
    view_.shape = *shape;
    view_.strides = row_major(*shape);
    return true;
  }

  bool turn(std::vector<std::int64_t> order) {
    const auto rank = static_cast<std::int64_t>(view_.shape.size());
    if (order.empty()) {
      order.resize(view_.shape.size());
      std::iota(order.rbegin(), order.rend(), 0);
    }
    if (static_cast<std::int64_t>(order.size()) != rank) return false;
    WeightView turned{view_.source, {}, {}};
    for (const std::int64_t axis : order) {
      if (axis < 0 || axis >= rank) return false;
      turned.shape.push_back(view_.shape[static_cast<std::size_t>(axis)]);
      turned.strides.push_back(view_.strides[static_cast<std::size_t>(axis)]);
    }
    view_ = std::move(turned);
    return true;
  }

  const ModelGraph& graph_;
  const ShapeOf& shape_of_;
  WeightView view_;
  bool is_double_ = false;
};

}  // namespace

std::optional<WeightView> view_of(const ModelGraph& graph, const std::string& value,
                                  const ShapeOf& shape_of) {
  if (const ModelGraph::Constant* const constant = graph.constant(value)) {
    if (!is_floating(constant->stored) || constant->stored == DType::f64) return std::nullopt;
    return WeightView{value, constant->shape, row_major(constant->shape)};
  }
  if (auto view = Viewer(graph, shape_of).view(value)) return view;
  const auto shape = shape_of(value);  // a chain that is more than it seems
  if (!shape) return std::nullopt;
  return WeightView{value, *shape, row_major(*shape)};
}

std::optional<WeightLayout> layout_in_source(const WeightView& view, const WeightLayout& taken) {
  const std::span<const std::int64_t> shape(view.shape);
  const std::span<const std::int64_t> strides(view.strides);
  // Which dimensions are which: rows and depth ([depth] for a vector), or stacked matrices of depth and rows.
  const bool strided = taken.axis == DepthAxis::strided;
  const std::size_t lead = strided ? shape.size() - 2 : 0;
  const std::size_t middle = lead + (shape.size() > 1 ? 1 : 0);
  const auto first = merged(shape.subspan(lead, middle - lead), strides.subspan(lead, middle - lead));
  const auto second = merged(shape.subspan(middle), strides.subspan(middle));
  const auto stack = merged(shape.first(lead), strides.first(lead));
  if (!first || !second || !stack) return std::nullopt;
  const std::int64_t row = strided ? *second : *first;
  const std::int64_t weight = strided ? *first : *second;
  const auto is = [](std::int64_t stride, std::int64_t count, std::int64_t expected) {
    return count == 1 || stride == expected;
  };
  if (!is(*stack, taken.matrices, taken.rows * taken.depth)) return std::nullopt;
  WeightLayout layout = taken;
  layout.axis = DepthAxis::contiguous;
  if (is(weight, taken.depth, 1) && is(row, taken.rows, taken.depth)) return layout;
  layout.axis = DepthAxis::strided;
  if (is(row, taken.rows, 1) && is(weight, taken.depth, taken.rows)) return layout;
  return std::nullopt;
}

}  // namespace qvl
