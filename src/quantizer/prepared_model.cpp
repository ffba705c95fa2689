#include "quantizer/prepared_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "quant/packed_blocks.h"
#include "qvl/error.h"
#include "replay/weight_view.h"

namespace qvl {
namespace {

QuantizedNode::Activations activations_of(const Format& format) {
  switch (format.activations) {
    case ActivationRounding::dynamic_u8:
      return QuantizedNode::Activations::dynamic;
    case ActivationRounding::static_u8:
      return QuantizedNode::Activations::fixed;
    case ActivationRounding::kept:
      break;
  }
  return QuantizedNode::Activations::kept;
}

// Weights are the same with rounded activations and without.
Format weight_only(Format format) {
  format.activations = ActivationRounding::kept;
  return format;
}

// Numbers that are read alike and made alike are stored once. Rounded activations change nothing about them.
std::string share_key(const std::string& source, const WeightLayout& layout, const Format& format,
                      WeightAlgorithm algorithm) {
  return fmt::format("{} [{}, {}, {}] {} {} {}", source, layout.matrices, layout.rows, layout.depth,
                     layout.axis == DepthAxis::contiguous ? "rows" : "columns",
                     to_string(weight_only(format)), to_string(algorithm));
}

class Preparation {
 public:
  Preparation(const ModelGraph& graph, const std::vector<Unit>& units, const QuantPlan& plan,
              const CalibratedUnits& calibrated)
      : graph_(graph), units_(units), plan_(plan), calibrated_(calibrated) {}

  PreparedModel prepare() {
    for (const Unit& unit : units_) {
      if (const auto planned = plan_.of(unit.name)) add_unit(unit, *planned);
    }
    if (plan_.embedding) add_tables(*plan_.embedding);
    return std::move(result_);
  }

 private:
  void add_unit(const Unit& unit, const PlannedFormat& planned) {
    const auto found = calibrated_.find(unit.name);
    const CalibratedUnit calibrated = found == calibrated_.end() ? CalibratedUnit{} : found->second;
    const WeightLayout& layout = unit.layout;
    QuantizedNode node;
    node.output = graph_.name_in_file(unit.output);
    node.weight = unit.weight;
    node.shape = unit.shape;
    node.matrices = layout.matrices;
    node.rows = layout.rows;
    node.depth = layout.depth;
    node.bits = planned.format.bits;
    node.group = planned.format.block;
    node.block = stored_block(weight_only(planned.format), layout.depth);
    node.activations = activations_of(planned.format);
    node.range_scale = calibrated.range.scale;
    node.range_zero_point = calibrated.range.zero_point;
    node.smoothed = !calibrated.smoothing.empty();
    node.accuracy_level = planned.accuracy_level;
    const bool own =
        planned.algorithm == WeightAlgorithm::gptq || !calibrated.importance.empty() || node.smoothed;
    if (!own) node.share = share_key(unit.source, unit.source_layout, planned.format, planned.algorithm);
    result_.nodes.push_back(std::move(node));
    result_.units.push_back({"the weight " + unit.weight + " of " + unit.name, layout, planned.format,
                             planned.algorithm, calibrated.importance, calibrated.smoothing});
    result_.weights.push_back({unit.source, unit.source_layout, nullptr});
    result_.names.push_back(unit.name);
  }

  // Rows of a constant table that a value of the model chooses.
  void add_tables(const Format& format) {
    for (std::size_t n = 0; n < graph_.nodes().size(); ++n) {
      const ModelGraph::Node& node = graph_.nodes()[n];
      if (node.op != "Gather" || !node.domain.empty() || graph_.attribute(n, "axis", 0) != 0) continue;
      if (graph_.is_constant(node.inputs[1])) continue;
      // Behind nodes that move numbers without another one having to compute them.
      const auto view =
          view_of(graph_, node.inputs[0], [](const std::string&) { return std::optional<Shape>(); });
      if (view && view->shape.size() == 2) {
        add_table(node, *view, format);
      } else if (!view && graph_.is_constant(node.inputs[0])) {
        const ModelGraph::Constant* const constant = graph_.constant(node.inputs[0]);
        if (constant != nullptr && !is_floating(constant->stored)) continue;  // no embedding
        keep(graph_.name_in_file(node.inputs[0]), constant == nullptr ? Shape() : constant->shape,
             constant == nullptr ? "other nodes compute it" : "its numbers are F64");
      }
    }
  }

  void keep(const std::string& weight, const Shape& shape, const std::string& why) {
    if (std::ranges::find(result_.kept, weight, &KeptTable::weight) == result_.kept.end())
      result_.kept.push_back({weight, shape, why});
  }

  void add_table(const ModelGraph::Node& node, const WeightView& view, const Format& format) {
    const std::string& source = graph_.first_alike(view.source);
    const std::string& weight = graph_.name_in_file(view.source);
    if (view.shape[0] == 0 || view.shape[1] == 0) return keep(weight, view.shape, "it is empty");
    const DType stored = graph_.constant(view.source)->stored;
    if (stored != DType::f32 && stored != DType::f16)
      return keep(weight, view.shape, fmt::format("its numbers are {}", name(stored)));
    const WeightLayout layout{1, view.shape[0], view.shape[1], DepthAxis::contiguous};
    const WeightLayout in_source =
        layout_in_source(view, layout).value();  // two dimensions lie one way or the other
    const std::int64_t block = stored_block(format, layout.depth);
    if (layout.depth % block != 0)
      return keep(weight, view.shape, fmt::format("blocks of {} do not divide its rows", block));
    result_.tables.push_back({graph_.name_in_file(node.outputs[0]), weight, layout.rows, layout.depth,
                              format.bits, block,
                              share_key(source, in_source, format, WeightAlgorithm::nearest)});
    result_.units.push_back({"the table " + weight, layout, format, WeightAlgorithm::nearest, {}, {}});
    result_.weights.push_back({graph_.name_in_file(source), in_source, nullptr});
    result_.names.push_back(weight);
  }

  const ModelGraph& graph_;
  const std::vector<Unit>& units_;
  const QuantPlan& plan_;
  const CalibratedUnits& calibrated_;
  PreparedModel result_;
};

}  // namespace

PreparedModel prepare_model(const ModelGraph& graph, const std::vector<Unit>& units, const QuantPlan& plan,
                            const CalibratedUnits& calibrated) {
  return Preparation(graph, units, plan, calibrated).prepare();
}

void require_tables(const QuantPlan& plan, std::span<const PreparedModel* const> models,
                    const std::string& source) {
  if (!plan.embedding) return;
  const KeptTable* kept = nullptr;
  for (const PreparedModel* const model : models) {
    if (!model->tables.empty()) return;
    if (kept == nullptr && !model->kept.empty()) kept = &model->kept.front();
  }
  if (kept == nullptr) {
    throw InputError(
        fmt::format("{} has no table of embeddings: no Gather along the rows of a constant matrix", source));
  }
  throw InputError(fmt::format("{}: the embedding in {}: {} {} cannot be, {}; choose another format for it",
                               source, to_string(*plan.embedding), kept->weight, to_string(kept->shape),
                               kept->why));
}

void hold_computed_weights(const ModelGraph& graph, PreparedModel& prepared) {
  std::unordered_map<std::string, std::shared_ptr<const std::vector<float>>> known;
  for (SourceWeight& weight : prepared.weights) {
    if (graph.constant(weight.value) != nullptr) continue;
    auto& held = known[weight.value];
    if (!held) held = std::make_shared<const std::vector<float>>(compute_floats(graph, weight.value));
    weight.held = held;
  }
}

}  // namespace qvl
