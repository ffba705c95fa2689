#include "replay/kept_weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "onnx/read/unit_ops.h"

namespace qvl {
namespace {

constexpr std::size_t kMostNamed = 3;

bool is_weight(const ModelGraph::Constant& constant) {
  if (constant.shape.empty()) return false;
  return is_floating(constant.stored) || size_bytes(constant.stored) == 1;
}

std::string type_of(const ModelGraph& graph, const std::string& constant) {
  const auto behind = initializers_behind(graph, constant);
  return behind.empty() ? "other numbers" : std::string(name(graph.constant(behind.front())->stored));
}

// What there is about an operand that is no unit's weight.
std::string what_of(const ModelGraph& graph, std::size_t index, std::size_t operand) {
  const ModelGraph::Node& node = graph.nodes()[index];
  if (operand >= node.inputs.size()) return node.op + ", in its sub-graphs";
  if (!node.domain.empty()) return node.domain + "::" + node.op;
  if (!is_unit_op(node.op)) return node.op;
  if (operand > 1) return "biases";
  if (operand == 0) return node.op + " with the constant on the left";
  if (const ModelGraph::Constant* const constant = graph.constant(node.inputs[1])) {
    if (std::ranges::find(constant->shape, 0) != constant->shape.end())
      return node.op + " with an empty weight";
  }
  if (type_of(graph, node.inputs[1]) == "F64") return node.op + " of F64";
  return node.op + " that is no unit";
}

// Empty weights have no bytes, but are worth a word.
bool is_told(const KeptWeights& kept, std::uint64_t bytes) {
  const bool of_units = is_unit_op(std::string_view(kept.what).substr(0, kept.what.find(' ')));
  return of_units || (bytes > 0 && kept.bytes >= bytes / 100 && kept.bytes > 0);
}

class Count {
 public:
  explicit Count(const ModelGraph& graph) : graph_(graph) {}

  WeightUses count(const std::vector<Unit>& units, std::span<const std::string> tables) {
    for (const Unit& unit : units) {
      weight_of_[unit.node] = unit.weight_value;
      each_new(unit.weight_value, [&](std::uint64_t bytes) { uses_.unit_bytes += bytes; });
    }
    for (const std::string& table : tables)
      each_new(table, [&](std::uint64_t bytes) { uses_.bytes += bytes; });
    for (std::size_t i = 0; i < graph_.nodes().size(); ++i) add_node(i);
    for (const KeptWeights& kept : uses_.kept) uses_.bytes += kept.bytes;
    uses_.bytes += uses_.unit_bytes;
    std::ranges::stable_sort(uses_.kept, std::greater(), &KeptWeights::bytes);
    return std::move(uses_);
  }

 private:
  void each_new(const std::string& value, const std::function<void(std::uint64_t bytes)>& visit) {
    for (const std::string& name : initializers_behind(graph_, value)) {
      const ModelGraph::Constant& constant = *graph_.constant(name);
      const std::string& stored = constant.external ? graph_.first_alike(name) : graph_.name_in_file(name);
      if (is_weight(constant) && counted_.insert(stored).second) visit(constant.size_bytes);
    }
  }

  void add_node(std::size_t index) {
    const ModelGraph::Node& node = graph_.nodes()[index];
    const bool folds = std::ranges::all_of(node.outputs, [&](const std::string& output) {
      return output.empty() || graph_.is_constant(output);
    });
    if (folds) return;
    for (std::size_t i = 0; i < node.inputs.size() + node.captured.size(); ++i) {
      const std::string& value =
          i < node.inputs.size() ? node.inputs[i] : node.captured[i - node.inputs.size()];
      if (value.empty() || !graph_.is_constant(value)) continue;
      const auto unit = weight_of_.find(index);
      if (unit != weight_of_.end() && i == 1) continue;
      each_new(value, [&](std::uint64_t bytes) { add(what_of(graph_, index, i), node, bytes); });
    }
  }

  void add(const std::string& what, const ModelGraph::Node& node, std::uint64_t bytes) {
    auto kept = std::ranges::find(uses_.kept, what, &KeptWeights::what);
    if (kept == uses_.kept.end()) kept = uses_.kept.insert(kept, {what, {}, 0});
    kept->bytes += bytes;
    const std::string& name = node.name.empty() ? node.outputs.front() : node.name;
    if (kept->nodes.empty() || kept->nodes.back() != name) kept->nodes.push_back(name);
  }

  const ModelGraph& graph_;
  std::unordered_map<std::size_t, std::string> weight_of_;  // by node of a unit
  std::unordered_set<std::string> counted_;
  WeightUses uses_;
};

}  // namespace

std::vector<std::string> initializers_behind(const ModelGraph& graph, const std::string& constant) {
  std::vector<std::string> found;
  std::vector<std::string> open{constant};
  std::unordered_set<std::string> seen{constant};
  while (!open.empty()) {
    const std::string next = std::move(open.back());
    open.pop_back();
    const auto maker = graph.maker_of(next);
    if (!maker) {
      if (graph.constant(next) != nullptr) found.push_back(next);
      continue;
    }
    for (const std::string& operand : graph.nodes()[*maker].inputs) {
      if (!operand.empty() && seen.insert(operand).second) open.push_back(operand);
    }
  }
  return found;
}

WeightUses weight_uses(const ModelGraph& graph, const std::vector<Unit>& units,
                       std::span<const std::string> tables) {
  return Count(graph).count(units, tables);
}

std::string describe_kept(std::span<const KeptWeights> kept, std::uint64_t bytes) {
  std::string text;
  for (const KeptWeights& each : kept) {
    if (!is_told(each, bytes)) continue;
    const std::size_t named = std::min(each.nodes.size(), kMostNamed);
    text +=
        fmt::format("{}{:.1f} % {} ({}{})", text.empty() ? "" : ", ",
                    bytes == 0 ? 0.0 : 100.0 * static_cast<double>(each.bytes) / static_cast<double>(bytes),
                    each.what, fmt::join(std::span(each.nodes).first(named), ", "),
                    each.nodes.size() > named ? fmt::format(" and {} more", each.nodes.size() - named) : "");
  }
  return text;
}

}  // namespace qvl
