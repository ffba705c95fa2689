#include "replay/segment_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "qvl/error.h"

namespace qvl {
namespace {

// One thread each: several experiments run side by side instead, and no result depends on how many do.
SessionOptions replay_options() {
  SessionOptions options;
  options.threads = 1;
  options.shared_arena = true;
  options.memory_pattern = false;
  options.own_operators = true;
  options.denormals_as_zero = true;  // half of what causal attention weighs would be such numbers
  options.config.emplace_back("session.disable_prepacking", "1");
  options.config.emplace_back("session.disable_quant_qdq", "1");  // rounding must stay what the graph says
  return options;
}

constexpr const char* kWhole = "whole ";

OperandRounding rounding_of(const Format* format) {
  if (format == nullptr || format->activations == ActivationRounding::kept) return OperandRounding::none;
  return format->activations == ActivationRounding::dynamic_u8 ? OperandRounding::dynamic
                                                               : OperandRounding::fixed;
}

std::string weight_name(std::size_t unit) { return fmt::format("qvl.unit.{}", unit); }

const HeldTensor* find(const Values& values, const std::string& name) {
  const auto found = values.find(name);
  return found == values.end() ? nullptr : &found->second;
}

Values collect(const std::vector<std::string>& names, std::vector<OutputTensor> tensors) {
  Values values;
  for (std::size_t i = 0; i < names.size(); ++i)
    values.emplace(names[i], HeldTensor::of(std::move(tensors[i])));
  return values;
}

}  // namespace

SegmentRunner::SegmentRunner(const ModelPart& part, std::size_t segment, WeightStore& weights,
                             const StaticRanges* ranges, const CancelToken* cancel)
    : part_(part),
      segment_(part.cut.segments[segment]),
      weights_(weights),
      ranges_(ranges),
      cancel_(cancel) {}

const Session& SegmentRunner::session(const std::string& key, const Work& work,
                                      const std::vector<NamedTensor>& operands,
                                      const Assignment& assignment) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Session>& known = sessions_[key];
  if (known) return *known;
  ModelSlice slice;
  slice.nodes = work.nodes;
  slice.outputs = work.outputs;
  slice.fuse_attention = fused_attention_;
  slice.block_attention = true;
  slice.fuse_rotary = true;
  for (const NamedTensor& operand : operands)
    slice.inputs.push_back({operand.name, operand.tensor.dtype, operand.tensor.shape.size()});
  for (const std::size_t unit : work.units) {
    const std::string name = weight_name(unit);
    slice.replacements.push_back({part_.units[unit].node, name, rounding_of(format_of(unit, assignment)),
                                  name + ".scale", name + ".zero_point"});
  }
  known = std::make_unique<Session>(
      Session::from_bytes(part_.graph.slice(slice), part_.graph.path(), replay_options()));
  return *known;
}

Values SegmentRunner::execute(const std::string& name, const Work& work, const Values& state,
                              const Values& statics, const Values& inside, const Assignment& assignment) {
  if (work.outputs.empty()) return {};  // of units that nothing compared depends on
  std::vector<NamedTensor> inputs;
  for (const std::string& operand : work.operands) {
    const HeldTensor* value = find(inside, operand);
    if (value == nullptr) value = find(state, operand);
    if (value == nullptr) value = find(statics, operand);
    if (value == nullptr)
      throw UsageError(fmt::format("{}: {} is not there yet", part_.graph.path().string(), operand));
    inputs.push_back({operand, value->view});
  }
  std::string key = name;
  for (const std::size_t unit : work.units)
    key += static_cast<char>('0' + static_cast<int>(rounding_of(format_of(unit, assignment))));
  const Session& model = session(key, work, inputs, assignment);
  std::vector<WeightStore::Weight> weights;
  weights.reserve(work.units.size());
  for (const std::size_t unit : work.units) {
    const Format* format = format_of(unit, assignment);
    weights.push_back(weights_.get(part_.first_unit + unit, format));
    const std::string input = weight_name(unit);
    inputs.push_back(
        {input, {DType::f32, part_.units[unit].shape, std::as_bytes(std::span(*weights.back()))}});
    if (rounding_of(format) != OperandRounding::fixed) continue;
    const AffineU8& range = ranges_->at(part_.first_unit + unit);
    inputs.push_back({input + ".scale", {DType::f32, {}, std::as_bytes(std::span(&range.scale, 1))}});
    inputs.push_back(
        {input + ".zero_point", {DType::u8, {}, std::as_bytes(std::span(&range.zero_point, 1))}});
  }
  return collect(work.outputs, model.run(inputs, work.outputs, cancel_));
}

Values SegmentRunner::run(const Values& state, const Values& statics, const Assignment& assignment,
                          const std::vector<std::string>& more) {
  Work work{segment_.nodes, segment_.units, segment_.operands, segment_.made};
  const auto add = [&](const std::string& value) {
    if (std::ranges::find(work.outputs, value) == work.outputs.end()) work.outputs.push_back(value);
  };
  for (const std::string& value : more) add(value);
  if (!more.empty()) std::ranges::for_each(segment_.shapes, add);
  const std::string name = more.empty() ? kWhole : fmt::format("inside {} ", fmt::join(more, ","));
  Values result = execute(name, work, state, statics, {}, assignment);
  for (const std::string& output : segment_.outputs) {
    if (!result.contains(output)) result.emplace(output, state.at(output));
  }
  return result;
}

Values SegmentRunner::run_tail(const Tail& tail, const Values& state, const Values& statics,
                               const Values& inside, const Assignment& assignment, bool unit_output) {
  const Unit& unit = part_.units[tail.unit];
  Work work{tail.nodes, tail.units, tail.operands, tail.outputs};
  std::string name = fmt::format("tail {} ", tail.unit);
  if (unit_output && std::ranges::find(work.outputs, unit.output) == work.outputs.end()) {
    work.outputs.push_back(unit.output);
    name += "with output ";
  }
  Values result = execute(name, work, state, statics, inside, assignment);
  for (const std::string& output : segment_.outputs) {
    if (result.contains(output)) continue;
    const HeldTensor* value = find(inside, output);
    if (value == nullptr) value = find(state, output);
    result.emplace(output, *value);
  }
  return result;
}

Values SegmentRunner::run_unit(const Tail& tail, const Values& state, const Values& statics,
                               const Values& inside, const Assignment& assignment) {
  const Unit& unit = part_.units[tail.unit];
  Work work{{unit.node}, {tail.unit}, {unit.input}, {unit.output}};
  const ModelGraph::Node& node = part_.graph.nodes()[unit.node];
  for (std::size_t i = 2; i < node.inputs.size(); ++i) {
    if (!node.inputs[i].empty() && !part_.graph.is_constant(node.inputs[i]))
      work.operands.push_back(node.inputs[i]);
  }
  return execute(fmt::format("unit {} ", tail.unit), work, state, statics, inside, assignment);
}

void SegmentRunner::forget_tails() {
  const std::lock_guard lock(mutex_);
  std::erase_if(sessions_, [](const auto& session) { return !session.first.starts_with(kWhole); });
}

std::vector<std::string> SegmentRunner::inside_values() const {
  const std::set<std::string> outer(segment_.operands.begin(), segment_.operands.end());
  std::set<std::string> wanted;
  for (const Tail& tail : segment_.tails) {
    wanted.insert(part_.units[tail.unit].output);
    for (const std::string& operand : tail.operands) {
      if (!outer.contains(operand)) wanted.insert(operand);
    }
  }
  return {wanted.begin(), wanted.end()};
}

Values run_statics(const ModelPart& part, const Values& inputs, const CancelToken* cancel) {
  ModelSlice slice;
  slice.nodes = part.cut.static_nodes;
  std::set<std::string> made;
  std::set<std::string> taken;
  for (const std::size_t node : slice.nodes) {
    const ModelGraph::Node& info = part.graph.nodes()[node];
    made.insert(info.outputs.begin(), info.outputs.end());
    taken.insert(info.inputs.begin(), info.inputs.end());
    taken.insert(info.captured.begin(), info.captured.end());
  }
  for (const std::string& value : part.cut.statics) {
    if (made.contains(value)) slice.outputs.push_back(value);
  }
  Values result = inputs;
  if (slice.outputs.empty()) return result;
  std::vector<NamedTensor> given;
  for (const auto& [name, value] : inputs) {
    if (!taken.contains(name)) continue;
    given.push_back({name, value.view});
    slice.inputs.push_back({name, value.view.dtype, value.view.shape.size()});
  }
  const Session session = Session::from_bytes(part.graph.slice(slice), part.graph.path(), replay_options());
  result.merge(collect(slice.outputs, session.run(given, slice.outputs, cancel)));
  return result;
}

}  // namespace qvl
