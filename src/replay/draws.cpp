#include "replay/draws.h"

#include <fmt/format.h>

#include <unordered_set>

#include "core/sha256.h"
#include "qvl/error.h"
#include "replay/graph_walk.h"
#include "runtime/session.h"

namespace qvl {
namespace {

std::uint64_t seed_of(const std::string& text) {
  return std::stoull(sha256_of(text).substr(0, 12), nullptr, 16);
}

}  // namespace

void require_drawable(const ModelGraph& graph) {
  if (graph.undrawable().empty()) return;
  throw InputError(fmt::format(
      "{}: {} draws random numbers, anew in each run: errors cannot be told from chance there. Random nodes "
      "are taken outside the bodies of If, Loop and Scan, and Dropout with a constant training_mode",
      graph.path().string(), graph.undrawable().front()));
}

Values draw_once(const ModelGraph& graph, const Values& inputs, const std::string& seed_text) {
  std::unordered_set<std::string> drawn;
  ModelSlice slice;
  for (const ModelGraph::Node& node : graph.nodes()) {
    drawn.insert(node.drawn.begin(), node.drawn.end());
    slice.outputs.insert(slice.outputs.end(), node.drawn.begin(), node.drawn.end());
  }
  if (drawn.empty()) return {};
  const std::vector<bool> needed = ancestors_of(graph, drawn);
  std::unordered_set<std::string> taken;
  for (std::size_t i = 0; i < needed.size(); ++i) {
    if (!needed[i]) continue;
    slice.nodes.push_back(i);
    for_each_operand(graph.nodes()[i], [&](const std::string& value) { taken.insert(value); });
  }
  slice.draw_seed = seed_of(seed_text);
  std::vector<NamedTensor> given;
  for (const auto& [name, value] : inputs) {
    if (!taken.contains(name)) continue;
    given.push_back({name, value.view});
    slice.inputs.push_back({name, value.view.dtype, value.view.shape.size()});
  }
  SessionOptions options;
  options.threads = 1;  // so that nothing is drawn in another order
  const Session session = Session::from_bytes(graph.slice(slice), graph.path(), options);
  std::vector<OutputTensor> results = session.run(given, slice.outputs);
  Values values;
  for (std::size_t i = 0; i < results.size(); ++i)
    values.emplace(slice.outputs[i], HeldTensor::of(std::move(results[i])));
  return values;
}

}  // namespace qvl
