// The unquantized model's part of an Experiment.
#include <fmt/format.h>

#include <algorithm>

#include "core/parallel.h"
#include "qvl/error.h"
#include "sensitivity/experiment.h"

namespace qvl {
namespace {

std::int64_t most_likely(const TensorView& logits, std::int64_t row) {
  const auto width = static_cast<std::size_t>(logits.shape.back());
  const auto* values =
      reinterpret_cast<const float*>(logits.bytes.data()) + static_cast<std::size_t>(row) * width;
  return std::max_element(values, values + width) - values;
}

}  // namespace

void Experiment::run_plain(const Observe& observe) {
  progress_ = {"unquantized model", 0, 0};
  report(0);
  const std::uint64_t fixed = MemoryPlan::resident();
  MemoryPlan::watch();
  const bool alone = program_.samples.size() == 1;
  learning_ = true;
  prepare({0}, alone ? observe : Observe());  // where there are others, each is looked at once below
  learning_ = false;
  if (!alone) forget_reference();  // it is no run to compare with
  const std::uint64_t peak = MemoryPlan::most_resident();
  const std::uint64_t held = fixed + weights_.held_bytes() + sample_bytes_;
  // A candidate's run has the values inside the segment beside its own.
  const std::uint64_t run = (peak > held ? peak - held : 0) + inside_bytes_ + 2 * output_bytes_;
  memory_.learn(fixed, run, sample_bytes_);
  replay_.set_workers(memory_.workers(worker_count(options_.threads)));
  const std::vector<Group> all = groups();
  if (alone) return;
  // Without an observer measure() prepares each group when its turn comes.
  if (!observe && all.size() > 1) return;
  for (const Group& group : all) prepare(group, observe);
}

// Answers for samples without one, token by token: each takes a whole run.
void Experiment::own_answers(const Group& group) {
  for (const std::size_t sample : group) {
    Sample& info = program_.samples[sample];
    if (!program_.has_logits || !program_.extend || !info.answer.rows.empty()) continue;
    const MeasurementKey key = keys_.of_plain(info.sha256, "own answer");
    if (const auto known = store_.find(key)) {
      for (const double token : *known) {
        if (!program_.extend(sample, static_cast<std::int64_t>(token))) break;
      }
      replay_.forget_statics(program_.parts.size() - 1, sample);
      continue;
    }
    std::vector<double> tokens;
    for (bool more = true; more;) {
      Flight flight = replay_.start(Assignment(program_.unit_count()), {sample});
      run_shapes(flight);
      const HeldTensor logits = replay_.run_last(flight, sample).front();
      const auto rows = static_cast<std::int64_t>(info.rows.size());
      const std::int64_t token = most_likely(logits.view, rows - 1);
      tokens.push_back(static_cast<double>(token));
      more = program_.extend(sample, token);
      replay_.forget_statics(program_.parts.size() - 1, sample);
    }
    store_.put(key, tokens);
    store_.flush();
  }
}

// To the last stage, with what the segments tell of shapes kept.
void Experiment::run_shapes(Flight& flight) {
  for (Stage stage; !stage.is_last(program_); stage = stage.next(program_)) {
    keep_shapes(stage, flight);
    replay_.advance(stage, std::vector<Flight*>{&flight});
  }
}

void Experiment::keep_shapes(const Stage& stage, const Flight& flight) {
  if (stage.of(program_).shapes.empty()) return;
  check_inside(stage, flight, {});
}

// With `next` set, its states become what the segment gives.
void Experiment::check_inside(const Stage& stage, const Flight& base, const Observe& observe, Flight* next) {
  const ModelPart& part = *program_.parts[stage.part];
  const Segment& segment = stage.of(program_);
  const bool is_vision = stage.part + 1 < program_.parts.size();
  const auto sample_of = [&](std::size_t item) {
    if (!is_vision) return item;
    for (const std::size_t sample : base.samples) {
      const auto& pictures = program_.samples[sample].pictures;
      if (std::ranges::find(pictures, item) != pictures.end()) return sample;
    }
    return base.samples.front();
  };
  std::mutex mutex;
  replay_.look_inside(
      stage, base, items_of(program_, stage.part, base.samples), [&](std::size_t item, const Values& inside) {
        const std::size_t sample = sample_of(item);
        for (const std::size_t unit : segment.units) {
          const Unit& info = part.units[unit];
          const TensorView& output = inside.at(info.output).view;
          if (output.dtype == DType::f32 && !all_finite(output)) {
            throw InputError(fmt::format("{}: the unquantized output of unit {} is not finite",
                                         program_.samples[sample].name, info.name));
          }
        }
        const Values& statics = replay_.statics(stage.part, item);
        const std::lock_guard lock(mutex);
        inside_bytes_ = std::max(inside_bytes_, total_bytes(inside));
        for (const std::size_t unit : segment.units) {
          if (!observe) break;
          const std::string& input = part.units[unit].input;
          const auto found = inside.find(input);
          const Values& state = base.states.at(item);
          const auto& value = found != inside.end()   ? found->second
                              : state.contains(input) ? state.at(input)
                                                      : statics.at(input);
          observe(part.first_unit + unit, sample, value.view);
        }
        for (const std::string& shape : segment.shapes)
          replay_.add_static(stage.part, item, shape, inside.at(shape));
        if (next == nullptr) return;
        Values& state = next->states.at(item);
        state.clear();
        for (const std::string& output : segment.outputs) state.emplace(output, inside.at(output));
      });
}

// Throws InputError naming sample and unit where what the segment gives is not finite.
void Experiment::advance_checked(const Stage& stage, Flight& base) {
  const Flight before = base;
  replay_.advance(stage, std::vector<Flight*>{&base});
  for (const auto& [item, state] : base.states) {
    for (const auto& [name, value] : state) {
      if (value.view.dtype != DType::f32 || all_finite(value.view)) continue;
      const auto& others = program_.parts.back()->compared.others;
      if (std::ranges::find(others, name) != others.end()) continue;  // as the model means it
      check_inside(stage, before, {});
      throw InputError(fmt::format("the unquantized value {} is not finite in {}", name,
                                   program_.samples[before.samples.front()].name));
    }
  }
}

// Of the unquantized model; its numbers go to the store.
void Experiment::check_outputs(std::size_t sample, const Outputs& outputs) {
  std::uint64_t bytes = 0;
  for (const HeldTensor& one : outputs) bytes += one.view.bytes.size();
  output_bytes_ = std::max(output_bytes_, bytes);
  const HeldTensor& output = outputs.front();
  const Sample& info = program_.samples[sample];
  if (output.view.dtype != DType::f32) {
    throw InputError(fmt::format("{}: the output {} is {}; floating-point numbers are expected",
                                 program_.parts.back()->graph.path().string(),
                                 program_.parts.back()->output(), name(output.view.dtype)));
  }
  if (!all_finite(output.view)) {
    const std::size_t part = program_.parts.size() - 1;
    check_inside({part, program_.parts[part]->cut.segments.size() - 1}, *reference_, {});
    throw InputError(fmt::format("{}: the unquantized output is not finite", info.name));
  }
  const MeasurementKey key = keys_.of_plain(info.sha256, "plain");
  if (only_learns() || store_.has(key)) return;
  store_.put(key, sums_of(sample, outputs, outputs).numbers());
  const LocalSums own = local_sums(output.view, output.view, {});
  store_.put(keys_.of_plain(info.sha256, "output"),
             std::vector<double>{own.plain, static_cast<double>(output.view.bytes.size() / sizeof(float))});
}

// So that the unquantized model need not go through the stages again.
void Experiment::keep(const Stage& stage, const Flight& base) {
  if (learning_) return;
  const std::uint64_t bytes = total_bytes(base);
  if (kept_bytes_ + bytes > memory_.state_bytes(replay_.workers()) / 4) return;
  kept_bytes_ += bytes;
  kept_.emplace(stage, base);
}

void Experiment::forget_reference() {
  if (reference_) {
    for (std::size_t p = 0; p < program_.parts.size(); ++p) {
      for (const std::size_t item : items_of(program_, p, reference_->samples))
        replay_.forget_statics(p, item);
    }
  }
  reference_.reset();
  outputs_.clear();
  kept_.clear();
  kept_bytes_ = 0;
}

void Experiment::prepare(const Group& group, const Observe& observe) {
  forget_reference();
  own_answers(group);
  Flight base = replay_.start(Assignment(program_.unit_count()), group);
  for (Stage stage; !stage.is_end(program_); stage = stage.next(program_)) {
    if (options_.cancel != nullptr) options_.cancel->throw_if_cancelled();
    if (only_learns() && !stage.is_last(program_)) {
      Flight next = base;
      check_inside(stage, base, observe, &next);
      base = std::move(next);
      if (stage.is_last_of_part(program_)) replay_.join(stage.part, base);
    } else {
      // Inside is looked at where something is to be learned there, or to say which unit is to blame.
      if (observe || learning_ || !stage.of(program_).shapes.empty()) check_inside(stage, base, observe);
      if (!stage.is_last(program_)) {
        advance_checked(stage, base);
        keep(stage.next(program_), base);
      }
    }
    sample_bytes_ = std::max(sample_bytes_, total_bytes(base) / group.size() + 1);
  }
  reference_ = std::move(base);
  with_outputs(group, [&](std::span<const std::size_t> some) {
    for (const std::size_t sample : some) check_outputs(sample, outputs_.at(sample));
  });
  store_.flush();
}

}  // namespace qvl
