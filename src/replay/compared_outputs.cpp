#include "replay/compared_outputs.h"

#include <fmt/format.h>

#include <algorithm>

#include "qvl/error.h"
#include "replay/graph_walk.h"

namespace qvl {
namespace {

constexpr const char* kLogits = "logits";

// For each output of the graph.
std::vector<bool> depending(const ModelGraph& graph, const std::vector<Unit>& units,
                            const std::unordered_set<std::string>& changed) {
  std::vector<std::size_t> seeds;
  for (const Unit& unit : units) seeds.push_back(unit.node);
  const std::vector<bool> reached =
      descendants_of(graph, changed, seeds, std::vector<bool>(graph.nodes().size(), true));
  std::vector<bool> depends;
  for (const ModelGraph::Port& output : graph.outputs()) {
    const auto maker = graph.maker_of(output.name);
    depends.push_back(changed.contains(output.name) || (maker && reached[*maker]));
  }
  return depends;
}

bool is_number(const ModelGraph::Port& port) { return port.dtype && is_floating(*port.dtype); }

std::string what_it_is(const ModelGraph::Port& port, bool depends) {
  const std::string type = port.dtype ? std::string(name(*port.dtype)) : "no tensor that qvl reads";
  return fmt::format("{} ({}{})", port.name, type, depends ? "" : ", depends on no unit");
}

std::string list_of(const ModelGraph& graph, const std::vector<bool>& depends) {
  std::string text;
  for (std::size_t i = 0; i < depends.size(); ++i)
    text += (text.empty() ? "" : ", ") + what_it_is(graph.outputs()[i], depends[i]);
  return text;
}

}  // namespace

std::vector<std::string> ComparedOutputs::names() const {
  std::vector<std::string> all;
  if (!metric.empty()) all.push_back(metric);
  all.insert(all.end(), others.begin(), others.end());
  return all;
}

ComparedOutputs choose_outputs(const ModelGraph& graph, const std::vector<Unit>& units,
                               const std::unordered_set<std::string>& changed, const std::string& wanted) {
  const std::vector<bool> depends = depending(graph, units, changed);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < depends.size(); ++i) {
    if (depends[i] && is_number(graph.outputs()[i])) names.push_back(graph.outputs()[i].name);
  }
  ComparedOutputs chosen;
  if (!wanted.empty()) {
    if (std::ranges::find(names, wanted) == names.end()) {
      const bool there =
          std::ranges::find(graph.outputs(), wanted, &ModelGraph::Port::name) != graph.outputs().end();
      throw UsageError(fmt::format(
          "output {}: {} has {}; a floating-point one that depends on a unit is expected. There are: {}",
          wanted, graph.path().string(), there ? "one that cannot be compared" : "none of that name",
          list_of(graph, depends)));
    }
    chosen.metric = wanted;
  } else if (!names.empty()) {
    const bool has_logits = std::ranges::find(names, kLogits) != names.end();
    chosen.metric = has_logits ? kLogits : names.front();
  }
  std::ranges::copy_if(names, std::back_inserter(chosen.others),
                       [&](const std::string& name) { return name != chosen.metric; });
  if (graph.outputs().size() > 1)
    chosen.context = fmt::format("output {} beside {}", chosen.metric, fmt::join(chosen.others, ", "));
  return chosen;
}

std::string describe_outputs(const ModelGraph& graph, const std::vector<Unit>& units) {
  return list_of(graph, depending(graph, units, {}));
}

}  // namespace qvl
