#include "planner/stored_size.h"

#include <unordered_map>
#include <unordered_set>

#include "onnx/parsed_model.h"
#include "onnx/rewrite/quantized_graph.h"
#include "quantizer/prepared_model.h"
#include "replay/kept_weights.h"

namespace qvl {
namespace {

QuantPlan plan_of(const ModelPart& part, const std::vector<bool>& selected, const Format& format) {
  QuantPlan plan;
  for (std::size_t local = 0; local < part.units.size(); ++local) {
    if (selected[part.first_unit + local])
      plan.entries.push_back({part.units[local].name, PlannedFormat{format}});
  }
  return plan;
}

// What goes from the file when all selected units are quantized.
void add_kept(const ModelPart& part, const std::vector<bool>& selected, const QuantizedGraph& quantized,
              std::vector<StoredSize>& sizes) {
  const ModelGraph& graph = part.graph;
  std::unordered_set<std::string> counted;
  for (std::size_t local = 0; local < part.units.size(); ++local) {
    if (!selected[part.first_unit + local]) continue;
    const Unit& unit = part.units[local];
    StoredSize& size = sizes[local];
    size.shared = quantized.keeps(unit.weight);
    for (const std::string& name : initializers_behind(graph, unit.weight_value)) {
      const ModelGraph::Constant& constant = *graph.constant(name);
      if (quantized.keeps(name)) continue;
      // Initializers at one place of a file of external data are stored once.
      const bool is_new = counted.insert(constant.external ? graph.first_alike(name) : name).second;
      if (is_new) size.kept_bytes += constant.size_bytes;
      if (name == unit.weight) size.repeated = !is_new;
    }
  }
}

}  // namespace

std::vector<StoredSize> stored_sizes(const ModelPart& part, const std::vector<bool>& selected,
                                     std::span<const Format> formats) {
  std::vector<StoredSize> sizes(part.units.size());
  const ParsedModel model(part.graph.path());
  std::unordered_map<std::string, std::size_t> local_of;
  for (std::size_t local = 0; local < part.units.size(); ++local) local_of[part.units[local].name] = local;
  for (std::size_t f = 0; f < formats.size(); ++f) {
    const PreparedModel prepared =
        prepare_model(part.graph, part.units, plan_of(part, selected, formats[f]), {});
    const QuantizedGraph quantized(model, prepared.nodes, prepared.tables, {});
    for (StoredSize& size : sizes) size.quantized_bytes.push_back(0);
    for (const QuantizedPiece& piece : quantized.pieces()) {
      if (piece.kind == QuantizedPiece::Kind::copied || !piece.twin_of.empty()) continue;
      sizes[local_of.at(prepared.names[piece.unit])].quantized_bytes.back() += piece.size_bytes;
    }
    if (f == 0) add_kept(part, selected, quantized, sizes);
  }
  return sizes;
}

}  // namespace qvl
