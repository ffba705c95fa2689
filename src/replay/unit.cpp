#include "replay/unit.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "core/name_pattern.h"
#include "core/parallel.h"
#include "kernels/transpose.h"
#include "onnx/read/unit_ops.h"
#include "qvl/error.h"
#include "replay/graph_walk.h"
#include "replay/weight_view.h"
#include "runtime/session.h"

namespace qvl {
namespace {

// The initializer that a constant comes from, through the first operands of the nodes that compute it.
std::string origin_of(const ModelGraph& graph, std::string value) {
  for (auto maker = graph.maker_of(value); maker; maker = graph.maker_of(value)) {
    const auto& inputs = graph.nodes()[*maker].inputs;
    if (inputs.empty()) break;  // a Constant node
    value = inputs.front();
  }
  return value;
}

OutputTensor compute_constant(const ModelGraph& graph, const std::string& value) {
  ModelSlice slice;
  slice.outputs = {value};
  SessionOptions options;
  options.optimization = GraphOptimization::none;
  options.threads = 1;
  const Session session = Session::from_bytes(graph.slice(slice), graph.path(), options);
  return std::move(session.run({}).front());
}

// Shapes of constants that nodes compute, each computed once; none for numbers that are not f32.
ShapeOf computed_shapes(const ModelGraph& graph) {
  auto known = std::make_shared<std::unordered_map<std::string, std::optional<Shape>>>();
  return [&graph, known](const std::string& value) {
    const auto [entry, is_new] = known->try_emplace(value);
    if (is_new) {
      const OutputTensor tensor = compute_constant(graph, value);
      if (tensor.dtype() == DType::f32) entry->second = tensor.shape();
    }
    return entry->second;
  };
}

WeightLayout layout_of(const ModelGraph& graph, std::size_t node, const Shape& shape) {
  const std::string& op = graph.nodes()[node].op;
  if (op == "Gemm") return WeightLayout::of_gemm(shape, graph.attribute(node, "transB", 0) != 0);
  return op == "Conv" ? WeightLayout::of_conv(shape) : WeightLayout::of_matmul(shape);
}

bool takes_constant_weight(const ModelGraph& graph, const ModelGraph::Node& node) {
  if (!node.domain.empty() || !is_unit_op(node.op)) return false;
  return node.inputs.size() >= 2 && graph.is_constant(node.inputs[1]) && !graph.is_constant(node.inputs[0]);
}

void tell_apart(std::vector<Unit>& units) {
  std::unordered_set<std::string> taken;
  std::unordered_map<std::string, int> seen;
  for (Unit& unit : units) {
    const std::string name = unit.name.empty() ? unit.op + ":" + unit.output : unit.name;
    // What makes it different may be a name of its own, too.
    int& count = seen[name];
    do {
      unit.name = ++count == 1 ? name : fmt::format("{}#{}", name, count);
    } while (!taken.insert(unit.name).second);
  }
}

}  // namespace

std::vector<Unit> find_units(const ModelGraph& graph) {
  std::unordered_set<std::string> outputs;
  for (const ModelGraph::Port& output : graph.outputs()) outputs.insert(output.name);
  const std::vector<bool> counts = ancestors_of(graph, outputs, true);
  const ShapeOf shape_of = computed_shapes(graph);
  std::vector<Unit> units;
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const ModelGraph::Node& node = graph.nodes()[i];
    if (!counts[i] || !takes_constant_weight(graph, node)) continue;
    const std::string& value = node.inputs[1];
    const auto view = view_of(graph, value, shape_of);
    if (!view) continue;  // integers, or numbers of 64 bits
    if (std::ranges::find(view->shape, 0) != view->shape.end()) continue;
    Unit unit{i,
              node.name,
              node.op,
              origin_of(graph, value),
              value,
              node.inputs[0],
              node.outputs[0],
              view->shape,
              layout_of(graph, i, view->shape),
              value,
              {}};
    const auto in_source = layout_in_source(*view, unit.layout);
    if (in_source) unit.source = graph.first_alike(view->source);
    unit.source_layout = in_source.value_or(unit.layout);
    units.push_back(std::move(unit));
  }
  tell_apart(units);
  return units;
}

std::vector<float> compute_floats(const ModelGraph& graph, const std::string& constant) {
  const OutputTensor tensor = compute_constant(graph, constant);
  const auto values = tensor.as<float>();
  return {values.begin(), values.end()};
}

std::vector<float> load_weight(const ModelGraph& graph, const Unit& unit, int threads) {
  std::vector<float> values;
  if (graph.constant(unit.source) == nullptr) {
    values = compute_floats(graph, unit.source);
  } else {
    values.resize(unit.layout.elements());
    constexpr std::size_t kPiece = std::size_t{1} << 22U;
    const std::size_t pieces = (values.size() + kPiece - 1) / kPiece;
    parallel_for(pieces, worker_count(threads), nullptr, [&](std::size_t piece, unsigned) {
      const std::size_t first = piece * kPiece;
      graph.read_f32(unit.source, first,
                     std::span(values).subspan(first, std::min(kPiece, values.size() - first)));
    });
  }
  if (unit.layout.axis == unit.source_layout.axis || unit.layout.rows == 1 || unit.layout.depth == 1)
    return values;
  // From [rows, depth] to [depth, rows], or back.
  const bool from_rows = unit.source_layout.axis == DepthAxis::contiguous;
  const std::int64_t lines = from_rows ? unit.layout.rows : unit.layout.depth;
  const std::int64_t length = from_rows ? unit.layout.depth : unit.layout.rows;
  const auto each = static_cast<std::size_t>(lines * length);
  std::vector<float> turned(values.size());
  for (std::size_t first = 0; first < values.size(); first += each) {
    transpose(std::as_bytes(std::span(values).subspan(first, each)), length,
              std::as_writable_bytes(std::span(turned).subspan(first, each)), lines, length, sizeof(float));
  }
  return turned;
}

bool matches(const std::string& pattern, const std::string& name) {
  bool chosen = false;
  bool any_positive = false;
  std::size_t begin = 0;
  while (begin <= pattern.size()) {
    const std::size_t end = std::min(pattern.find(',', begin), pattern.size());
    std::string_view part = std::string_view(pattern).substr(begin, end - begin);
    begin = end + 1;
    const bool leave_out = part.starts_with('!');
    if (leave_out) part.remove_prefix(1);
    if (!leave_out) any_positive = true;
    if (!fits_pattern(part, name)) continue;
    if (leave_out) return false;
    chosen = true;
  }
  return chosen || !any_positive;
}

}  // namespace qvl
