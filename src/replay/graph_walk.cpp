#include "replay/graph_walk.h"

namespace qvl {

bool looks_at_numbers(const ModelGraph::Node& node) {
  return node.op != "Shape" && node.op != "Size" && node.op != "RandomNormalLike" &&
         node.op != "RandomUniformLike";
}

std::vector<bool> ancestors_of(const ModelGraph& graph, const std::unordered_set<std::string>& values,
                               bool by_numbers) {
  const auto& nodes = graph.nodes();
  std::vector<bool> reached(nodes.size(), false);
  std::unordered_set<std::string> wanted = values;
  for (std::size_t i = nodes.size(); i-- > 0;) {
    for (const std::string& output : nodes[i].outputs) {
      if (wanted.contains(output)) reached[i] = true;
    }
    if (!reached[i] || (by_numbers && !looks_at_numbers(nodes[i]))) continue;
    for_each_operand(nodes[i], [&](const std::string& operand) { wanted.insert(operand); });
  }
  return reached;
}

std::vector<bool> descendants_of(const ModelGraph& graph, const std::unordered_set<std::string>& values,
                                 const std::vector<std::size_t>& seeds, const std::vector<bool>& among) {
  const auto& nodes = graph.nodes();
  std::vector<bool> reached(nodes.size(), false);
  for (const std::size_t seed : seeds) reached[seed] = true;
  std::unordered_set<std::string> touched = values;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!among[i] || !nodes[i].drawn.empty()) continue;
    bool depends = reached[i];
    if (looks_at_numbers(nodes[i]))
      for_each_operand(nodes[i], [&](const std::string& operand) { depends |= touched.contains(operand); });
    reached[i] = depends;
    if (depends) touched.insert(nodes[i].outputs.begin(), nodes[i].outputs.end());
  }
  return reached;
}

}  // namespace qvl
