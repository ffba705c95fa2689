#include "quantizer/prepared_model.h"

#include <fmt/format.h>

#include "quant/packed_blocks.h"
#include "qvl/error.h"

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

// Numbers of one initializer that are made alike are stored once.
std::string share_key(const std::string& weight, const Format& format, WeightAlgorithm algorithm) {
  return fmt::format("{} {} {}", weight, to_string(format), to_string(algorithm));
}

class Preparation {
 public:
  Preparation(const ModelGraph& graph, const std::vector<Unit>& units, const QuantPlan& plan,
              const CalibratedUnits& calibrated, int threads)
      : graph_(graph), units_(units), plan_(plan), calibrated_(calibrated), threads_(threads) {}

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
    const bool direct = graph_.constant(unit.weight_value) != nullptr;
    const bool own =
        planned.algorithm == WeightAlgorithm::gptq || !calibrated.importance.empty() || node.smoothed;
    if (direct && !own) node.share = share_key(unit.weight_value, planned.format, planned.algorithm);
    result_.nodes.push_back(std::move(node));
    result_.units.push_back({"the weight " + unit.weight + " of " + unit.name, layout, planned.format,
                             planned.algorithm, calibrated.importance, calibrated.smoothing});
    SourceWeight weight{unit.weight_value, layout, nullptr};
    if (!direct)
      weight.held = std::make_shared<const std::vector<float>>(load_weight(graph_, unit, threads_));
    result_.weights.push_back(std::move(weight));
    result_.names.push_back(unit.name);
  }

  // Rows of a constant table that a value of the model chooses.
  void add_tables(const Format& format) {
    for (std::size_t n = 0; n < graph_.nodes().size(); ++n) {
      const ModelGraph::Node& node = graph_.nodes()[n];
      if (node.op != "Gather" || !node.domain.empty() || graph_.attribute(n, "axis", 0) != 0) continue;
      const ModelGraph::Constant* table = graph_.constant(node.inputs[0]);
      if (table == nullptr || table->shape.size() != 2 || graph_.is_constant(node.inputs[1])) continue;
      if (table->stored != DType::f32 && table->stored != DType::f16) continue;
      const std::string& weight = graph_.name_in_file(node.inputs[0]);
      const WeightLayout layout{1, table->shape[0], table->shape[1], DepthAxis::contiguous};
      const std::int64_t block = stored_block(format, layout.depth);
      if (layout.depth % block != 0) {
        throw InputError(
            fmt::format("{}: {} has rows of {} numbers, which blocks of {} do not divide; choose another "
                        "block for the embedding",
                        graph_.path().string(), weight, layout.depth, block));
      }
      result_.tables.push_back({graph_.name_in_file(node.outputs[0]), weight, layout.rows, layout.depth,
                                format.bits, block, share_key(weight, format, WeightAlgorithm::nearest)});
      result_.units.push_back({"the table " + weight, layout, format, WeightAlgorithm::nearest, {}, {}});
      result_.weights.push_back({weight, layout, nullptr});
      result_.names.push_back(weight);
    }
  }

  const ModelGraph& graph_;
  const std::vector<Unit>& units_;
  const QuantPlan& plan_;
  const CalibratedUnits& calibrated_;
  int threads_;
  PreparedModel result_;
};

}  // namespace

PreparedModel prepare_model(const ModelGraph& graph, const std::vector<Unit>& units, const QuantPlan& plan,
                            const CalibratedUnits& calibrated, int threads) {
  return Preparation(graph, units, plan, calibrated, threads).prepare();
}

}  // namespace qvl
