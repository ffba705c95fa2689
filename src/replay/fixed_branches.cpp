#include "replay/fixed_branches.h"

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_set>

#include "replay/graph_walk.h"
#include "replay/unit.h"
#include "runtime/session.h"

namespace qvl {
namespace {

// If nodes of the graph, by condition, that neither units nor draws decide: what they give first.
std::map<std::string, std::vector<std::string>> open_conditions(const ModelGraph& graph) {
  std::vector<std::size_t> seeds;
  bool any = false;
  for (const ModelGraph::Node& node : graph.nodes()) any = any || (node.op == "If" && node.domain.empty());
  std::map<std::string, std::vector<std::string>> found;
  if (!any) return found;
  for (const Unit& unit : find_units(graph)) seeds.push_back(unit.node);
  const std::vector<bool> by_units =
      descendants_of(graph, {}, seeds, std::vector<bool>(graph.nodes().size(), true));
  std::unordered_set<std::string> by_chance;
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const ModelGraph::Node& node = graph.nodes()[i];
    bool random = !node.drawn.empty();
    for_each_operand(node, [&](const std::string& value) { random = random || by_chance.contains(value); });
    if (random) by_chance.insert(node.outputs.begin(), node.outputs.end());
    if (node.op != "If" || !node.domain.empty() || node.inputs.size() != 1) continue;
    const auto maker = graph.maker_of(node.inputs[0]);
    if ((maker && by_units[*maker]) || by_chance.contains(node.inputs[0])) continue;
    const auto named = std::ranges::find_if(node.outputs, [](const std::string& o) { return !o.empty(); });
    if (named != node.outputs.end()) found[node.inputs[0]].push_back(*named);
  }
  return found;
}

class Conditions {
 public:
  Conditions(const ModelGraph& graph, const std::map<std::string, std::vector<std::string>>& open)
      : graph_(graph) {
    std::unordered_set<std::string> wanted;
    for (const auto& [condition, outputs] : open) {
      const auto input = std::ranges::find(graph.inputs(), condition, &ModelGraph::Port::name);
      if (input != graph.inputs().end()) {
        inputs_.push_back(condition);
      } else {
        slice_.outputs.push_back(condition);
        wanted.insert(condition);
      }
    }
    const std::vector<bool> needed = ancestors_of(graph, wanted);
    for (std::size_t i = 0; i < needed.size(); ++i) {
      if (!needed[i]) continue;
      slice_.nodes.push_back(i);
      for_each_operand(graph.nodes()[i], [&](const std::string& value) { taken_.insert(value); });
    }
  }

  std::map<std::string, bool> of(const Values& sample) {
    std::map<std::string, bool> truths;
    for (const std::string& input : inputs_) truths[input] = truth_of(sample.at(input).view);
    if (slice_.outputs.empty()) return truths;
    std::vector<NamedTensor> given;
    for (const auto& [name, value] : sample) {
      if (taken_.contains(name)) given.push_back({name, value.view});
    }
    if (!session_) {
      for (const NamedTensor& one : given)
        slice_.inputs.push_back({one.name, one.tensor.dtype, one.tensor.shape.size()});
      SessionOptions options;
      options.threads = 1;
      session_ = Session::from_bytes(graph_.slice(slice_), graph_.path(), options);
    }
    const std::vector<OutputTensor> results = session_->run(given, slice_.outputs);
    for (std::size_t i = 0; i < results.size(); ++i) truths[slice_.outputs[i]] = truth_of(results[i].view());
    return truths;
  }

 private:
  static bool truth_of(const TensorView& view) {
    return !view.bytes.empty() && view.bytes[0] != std::byte{0};
  }

  const ModelGraph& graph_;
  std::vector<std::string> inputs_;  // conditions that are inputs of the model
  ModelSlice slice_;                 // makes the others
  std::unordered_set<std::string> taken_;
  std::optional<Session> session_;
};

}  // namespace

std::vector<FixedBranch> branches_fixed_by(const std::filesystem::path& model,
                                           std::span<const Values> samples) {
  constexpr int kDeepest = 64;
  std::vector<FixedBranch> fixed;
  for (int depth = 0; depth < kDeepest; ++depth) {
    const ModelGraph graph(model, fixed);
    const auto open = open_conditions(graph);
    if (open.empty()) break;
    Conditions conditions(graph, open);
    std::map<std::string, std::optional<bool>> same;
    for (const Values& sample : samples) {
      for (const auto& [condition, truth] : conditions.of(sample)) {
        const auto [known, is_new] = same.emplace(condition, truth);
        if (!is_new && known->second != truth) known->second.reset();
      }
    }
    const std::size_t before = fixed.size();
    for (const auto& [condition, outputs] : open) {
      const auto found = same.find(condition);
      if (found == same.end() || !found->second) continue;
      for (const std::string& output : outputs) fixed.push_back({output, *found->second});
    }
    if (fixed.size() == before) break;
  }
  return fixed;
}

}  // namespace qvl
