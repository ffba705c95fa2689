#include "planner/plan_units.h"

#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "sensitivity/graph_walk.h"

namespace qvl {
namespace {

// Who takes what in one graph.
class Consumers {
 public:
  Consumers(const ModelPart& part, const std::vector<bool>& selected) : graph_(part.graph) {
    for (std::size_t i = 0; i < graph_.nodes().size(); ++i)
      for_each_operand(graph_.nodes()[i], [&](const std::string& value) { nodes_[value].push_back(i); });
    for (std::size_t local = 0; local < part.units.size(); ++local) {
      if (selected[part.first_unit + local])
        weight_of_.emplace(part.units[local].node, part.units[local].weight_value);
    }
  }

  // Whether an initializer is taken, as it is or through nodes that compute constants, by anything but
  // selected units as their weight.
  [[nodiscard]] bool is_taken_elsewhere(const std::string& initializer) const {
    std::vector<std::string> open{initializer};
    std::unordered_set<std::string> seen{initializer};
    while (!open.empty()) {
      const std::string value = std::move(open.back());
      open.pop_back();
      const auto found = nodes_.find(value);
      if (found == nodes_.end()) continue;
      for (const std::size_t node : found->second) {
        const auto weight = weight_of_.find(node);
        if (weight != weight_of_.end() && weight->second == value) continue;
        for (const std::string& output : graph_.nodes()[node].outputs) {
          if (output.empty()) continue;
          if (!graph_.is_constant(output)) return true;
          if (seen.insert(output).second) open.push_back(output);
        }
      }
    }
    return false;
  }

 private:
  const ModelGraph& graph_;
  std::unordered_map<std::string, std::vector<std::size_t>> nodes_;  // by value
  std::unordered_map<std::size_t, std::string> weight_of_;           // by node of a unit
};

StoredWeight stored_weight(const ModelGraph& graph, const Unit& unit) {
  StoredWeight weight{unit.op, unit.layout, DType::f32, unit.layout.elements() * sizeof(float)};
  if (const ModelGraph::Constant* constant = graph.constant(unit.weight)) {
    weight.bytes = constant->size_bytes;
    if (is_floating(constant->stored)) weight.stored = constant->stored;
  }
  return weight;
}

// Groups of one part that grow together as units turn out to belong to both.
class Ties {
 public:
  explicit Ties(std::size_t units) : leader_(units) {
    for (std::size_t i = 0; i < units; ++i) leader_[i] = i;
  }
  [[nodiscard]] std::size_t leader(std::size_t unit) const {
    while (leader_[unit] != unit) unit = leader_[unit];
    return unit;
  }
  void tie(std::size_t a, std::size_t b) {
    a = leader(a);
    b = leader(b);
    leader_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<std::size_t> leader_;
};

}  // namespace

std::uint64_t PlanUnit::bytes(const std::optional<Format>& format) const {
  if (repeated || (shared && !format)) return 0;
  return stored_bytes(weight, format);
}

std::uint64_t PlanUnit::parameters() const { return shared || repeated ? 0 : weight.layout.elements(); }

std::vector<UnitGroup> group_units(const Program& program, const std::vector<bool>& selected,
                                   const std::vector<std::size_t>& row_of) {
  std::vector<UnitGroup> groups;
  for (const auto& part : program.parts) {
    const Consumers consumers(*part, selected);
    Ties ties(part->units.size());
    std::map<std::pair<std::string, std::string>, std::size_t> first;  // what they share -> a unit
    std::unordered_set<std::string> weights;
    std::map<std::size_t, std::size_t> group_of;  // leader -> group
    for (std::size_t local = 0; local < part->units.size(); ++local) {
      if (!selected[part->first_unit + local]) continue;
      const Unit& unit = part->units[local];
      ties.tie(local, first.try_emplace({"input", unit.input}, local).first->second);
      ties.tie(local, first.try_emplace({"weight", unit.weight}, local).first->second);
    }
    for (std::size_t local = 0; local < part->units.size(); ++local) {
      const std::size_t unit = part->first_unit + local;
      if (!selected[unit]) continue;
      const auto [group, is_new] = group_of.try_emplace(ties.leader(local), groups.size());
      if (is_new) groups.emplace_back();
      const std::string& weight = part->units[local].weight;
      PlanUnit planned{unit, row_of[unit], stored_weight(part->graph, part->units[local]), false, false};
      planned.shared = consumers.is_taken_elsewhere(weight);
      planned.repeated = !weights.insert(weight).second;
      groups[group->second].push_back(std::move(planned));
    }
  }
  return groups;
}

}  // namespace qvl
