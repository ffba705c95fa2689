#include "replay/segment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <set>
#include <string_view>
#include <unordered_map>

#include "qvl/error.h"
#include "replay/graph_walk.h"
#include "replay/unmeasured.h"

namespace qvl {
namespace {

constexpr std::size_t kMostAlive = 6;  // values at a cut

constexpr std::int64_t kNever = 1000;  // counts as so many values: no cut there

// Operators whose results are sequences, optional values or maps, which no run takes or gives.
constexpr std::array<std::string_view, 8> kNoTensors{
    "SequenceEmpty",   "SequenceConstruct", "SequenceInsert", "SequenceErase",
    "SplitToSequence", "SequenceMap",       "Optional",       "ZipMap"};

// Works on the nodes that depend on units, and on those that take shapes from them, in order.
class Cutter {
 public:
  Cutter(const ModelGraph& graph, const std::vector<Unit>& units,
         const std::unordered_set<std::string>& changed, const std::vector<std::string>& compared)
      : graph_(graph), units_(units), changed_(changed), compared_(compared.begin(), compared.end()) {
    if (!compared.empty()) ranked_ = compared.front();
    sort_nodes();
    find_lifetimes();
  }

  GraphSegments cut() {
    std::vector<std::size_t> ends;
    for (std::size_t most = 1; most <= kMostAlive; ++most) {
      ends = ends_with(most);
      if (most_units(ends) <= std::max<std::size_t>(8, units_.size() / 8)) break;
    }
    GraphSegments result;
    std::size_t begin = 0;
    for (const std::size_t end : ends) {
      result.segments.push_back(segment(begin, end));
      begin = end;
    }
    collect_statics(result);
    return result;
  }

 private:
  void sort_nodes();
  void find_lifetimes();
  [[nodiscard]] std::vector<std::size_t> ends_with(std::size_t most_alive) const;
  [[nodiscard]] std::size_t most_units(const std::vector<std::size_t>& ends) const;
  [[nodiscard]] Segment segment(std::size_t begin, std::size_t end) const;
  [[nodiscard]] Tail tail(const Segment& segment, std::size_t unit) const;
  void collect_statics(GraphSegments& result) const;
  [[nodiscard]] bool is_tensor(const std::string& value) const {
    const auto maker = graph_.maker_of(value);
    return !maker || std::ranges::find(kNoTensors, graph_.nodes()[*maker].op) == kNoTensors.end();
  }
  // Throws InputError naming the first that is no tensor.
  void require_tensors(const std::vector<std::string>& values) const;
  [[nodiscard]] bool is_unit(std::size_t node) const { return unit_of_.contains(node); }

  const ModelGraph& graph_;
  const std::vector<Unit>& units_;
  const std::unordered_set<std::string>& changed_;
  std::unordered_set<std::string> compared_;               // outputs, which are carried to the end
  std::string ranked_;                                     // one of them
  std::unordered_map<std::size_t, std::size_t> unit_of_;   // node -> unit
  std::vector<bool> needed_;                               // by a unit, or by what is compared
  std::vector<bool> dependent_;                            // on the numbers that units give
  std::vector<std::size_t> order_;                         // dependent nodes and those that take their shapes
  std::unordered_map<std::string, std::size_t> made_at_;   // in order_; 0 for changed inputs too
  std::unordered_set<std::string> shape_values_;           // made in order_, not dependent
  std::unordered_map<std::string, std::size_t> last_use_;  // in order_
};

void Cutter::sort_nodes() {
  const auto& nodes = graph_.nodes();
  std::vector<std::size_t> seeds;
  for (std::size_t u = 0; u < units_.size(); ++u) {
    unit_of_[units_[u].node] = u;
    seeds.push_back(units_[u].node);
  }
  std::unordered_set<std::string> wanted = compared_;
  for (const Unit& unit : units_) wanted.insert(unit.output);
  needed_ = ancestors_of(graph_, wanted);
  dependent_ = descendants_of(graph_, changed_, seeds, needed_);
  std::unordered_set<std::string> touched(changed_.begin(), changed_.end());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!needed_[i] || !nodes[i].drawn.empty()) continue;  // draws are given as inputs are
    bool here = dependent_[i];
    for_each_operand(nodes[i], [&](const std::string& value) { here |= touched.contains(value); });
    if (!here) continue;
    for (const std::string& output : nodes[i].outputs) {
      if (output.empty()) continue;
      touched.insert(output);
      made_at_[output] = order_.size();
      if (!dependent_[i]) shape_values_.insert(output);
    }
    order_.push_back(i);
  }
}

void Cutter::find_lifetimes() {
  for (std::size_t at = 0; at < order_.size(); ++at) {
    for_each_operand(graph_.nodes()[order_[at]], [&](const std::string& value) {
      if (made_at_.contains(value) || changed_.contains(value)) last_use_[value] = at;
    });
  }
}

// Where segments may end: behind nodes after which at most so many dependent values are still needed by
// others.
std::vector<std::size_t> Cutter::ends_with(std::size_t most_alive) const {
  std::vector<std::int64_t> change(order_.size() + 1, 0);
  const auto add = [&](const std::string& value, std::size_t from) {
    const auto use = last_use_.find(value);
    if (use == last_use_.end()) return;
    const std::int64_t weight = is_tensor(value) ? 1 : kNever;
    change[from] += weight;
    if (use->second < order_.size()) change[use->second] -= weight;
  };
  for (const auto& [value, at] : made_at_) {
    if (!shape_values_.contains(value)) add(value, at);
  }
  for (const std::string& value : changed_) add(value, 0);
  std::vector<std::size_t> ends;
  std::int64_t alive = 0;
  std::size_t units = 0;
  std::size_t units_left = units_.size();
  for (std::size_t at = 0; at < order_.size(); ++at) {
    alive += change[at];
    if (is_unit(order_[at])) {
      ++units;
      --units_left;
    }
    if (units == 0 || units_left == 0 || alive > static_cast<std::int64_t>(most_alive)) continue;
    ends.push_back(at + 1);
    units = 0;
  }
  ends.push_back(order_.size());
  return ends;
}

std::size_t Cutter::most_units(const std::vector<std::size_t>& ends) const {
  std::size_t most = 0;
  std::size_t begin = 0;
  for (const std::size_t end : ends) {
    const auto count = std::count_if(order_.begin() + static_cast<std::ptrdiff_t>(begin),
                                     order_.begin() + static_cast<std::ptrdiff_t>(end),
                                     [&](std::size_t node) { return is_unit(node); });
    most = std::max(most, static_cast<std::size_t>(count));
    begin = end;
  }
  return most;
}

Segment Cutter::segment(std::size_t begin, std::size_t end) const {
  Segment s;
  std::set<std::string> inputs;
  std::set<std::string> operands;
  for (std::size_t at = begin; at < end; ++at) {
    const std::size_t index = order_[at];
    s.nodes.push_back(index);
    if (is_unit(index)) s.units.push_back(unit_of_.at(index));
    for_each_operand(graph_.nodes()[index], [&](const std::string& value) {
      if (graph_.is_constant(value)) return;
      const auto made = made_at_.find(value);
      if (made != made_at_.end() && made->second >= begin) return;  // inside
      operands.insert(value);
      const bool shape = shape_values_.contains(value);
      if (changed_.contains(value) || (made != made_at_.end() && !shape)) inputs.insert(value);
    });
  }
  // What later segments need goes through this one, made here or not.
  const auto lives_on = [&](const std::string& value) {
    if (compared_.contains(value)) return true;
    const auto use = last_use_.find(value);
    return use != last_use_.end() && use->second >= end;
  };
  std::set<std::string> outputs;
  std::set<std::string> shapes;
  for (const auto& [value, at] : made_at_) {
    if (at >= end || !lives_on(value)) continue;
    if (shape_values_.contains(value)) {
      if (at >= begin) shapes.insert(value);
      continue;
    }
    outputs.insert(value);
    if (at < begin) inputs.insert(value);
  }
  for (const std::string& value : changed_) {
    if (!lives_on(value)) continue;
    outputs.insert(value);
    inputs.insert(value);
  }
  s.inputs.assign(inputs.begin(), inputs.end());
  s.operands.assign(operands.begin(), operands.end());
  for (const std::string& output : outputs) {
    const auto made = made_at_.find(output);
    if (made != made_at_.end() && made->second >= begin) s.made.push_back(output);
  }
  s.outputs.assign(outputs.begin(), outputs.end());
  std::ranges::copy_if(outputs, std::back_inserter(s.handed), [&](const std::string& value) {
    const auto use = last_use_.find(value);
    return value != ranked_ && (use == last_use_.end() || use->second < end);
  });
  s.shapes.assign(shapes.begin(), shapes.end());
  for (const std::size_t unit : s.units) s.tails.push_back(tail(s, unit));
  require_tensors(s.operands);
  require_tensors(s.outputs);
  return s;
}

void Cutter::require_tensors(const std::vector<std::string>& values) const {
  for (const std::string& value : values) {
    if (is_tensor(value)) continue;
    const ModelGraph::Node& node = graph_.nodes()[graph_.maker_of(value).value()];
    throw InputError(fmt::format(
        "{}: {} ({}) gives {}, which is no tensor and is taken by another part of the model than it "
        "is made in; units around sequences, maps and optional values cannot be measured one by one",
        graph_.path().string(), node.name, node.op, value));
  }
}

Tail Cutter::tail(const Segment& s, std::size_t unit) const {
  std::vector<bool> among(graph_.nodes().size(), false);
  for (const std::size_t node : s.nodes) among[node] = dependent_[node];
  const std::vector<bool> reached = descendants_of(graph_, {}, {units_[unit].node}, among);
  Tail t;
  t.unit = unit;
  std::set<std::string> made;
  std::set<std::string> operands;
  for (const std::size_t node : s.nodes) {
    if (!reached[node]) continue;
    t.nodes.push_back(node);
    if (is_unit(node)) t.units.push_back(unit_of_.at(node));
    for_each_operand(graph_.nodes()[node], [&](const std::string& value) {
      if (!graph_.is_constant(value) && !made.contains(value)) operands.insert(value);
    });
    made.insert(graph_.nodes()[node].outputs.begin(), graph_.nodes()[node].outputs.end());
  }
  t.operands.assign(operands.begin(), operands.end());
  for (const std::string& output : s.outputs) {
    if (made.contains(output)) t.outputs.push_back(output);
  }
  require_tensors(t.operands);
  return t;
}

void Cutter::collect_statics(GraphSegments& result) const {
  std::set<std::string> statics;
  for (const Segment& s : result.segments) {
    const std::set<std::string> inputs(s.inputs.begin(), s.inputs.end());
    std::ranges::copy_if(s.operands, std::inserter(statics, statics.end()),
                         [&](const std::string& value) { return !inputs.contains(value); });
  }
  result.statics.assign(statics.begin(), statics.end());
  std::unordered_set<std::string> wanted(statics.begin(), statics.end());
  const auto& nodes = graph_.nodes();
  for (std::size_t i = nodes.size(); i-- > 0;) {
    const bool made_by_segment = std::ranges::any_of(
        nodes[i].outputs, [&](const std::string& output) { return made_at_.contains(output); });
    if (made_by_segment || !nodes[i].drawn.empty()) continue;
    const bool makes = std::ranges::any_of(
        nodes[i].outputs, [&](const std::string& o) { return wanted.contains(o) && !graph_.is_constant(o); });
    if (!makes) continue;
    result.static_nodes.push_back(i);
    for_each_operand(nodes[i], [&](const std::string& value) { wanted.insert(value); });
  }
  std::ranges::reverse(result.static_nodes);
}

}  // namespace

GraphSegments cut_into_segments(const ModelGraph& graph, const std::vector<Unit>& units,
                                const std::unordered_set<std::string>& changed,
                                const std::vector<std::string>& compared) {
  if (units.empty()) {
    std::string in_bodies;
    for (const BodyUnits& bodies : units_of_bodies(graph, units))
      in_bodies += "; " + to_text(bodies, "not measured");
    throw InputError(fmt::format("{} has no unit: no MatMul, Gemm or Conv with a constant weight{}",
                                 graph.path().string(), in_bodies));
  }
  return Cutter(graph, units, changed, compared).cut();
}

}  // namespace qvl
