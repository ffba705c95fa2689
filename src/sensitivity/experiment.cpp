#include "sensitivity/experiment.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "core/parallel.h"
#include "qvl/error.h"

namespace qvl {
Experiment::Experiment(Program& program, MeasurementStore& store, const std::vector<Format>& formats,
                       const std::vector<bool>& selected, const MeasurementKeys& keys,
                       const SensitivityOptions& options)
    : program_(program),
      store_(store),
      formats_(formats),
      selected_(selected),
      keys_(keys),
      options_(options),
      memory_(options.memory_bytes),
      weights_(program.parts, memory_.weight_bytes(), options.threads),
      replay_(program, weights_, &ranges_, 1, options.cancel) {
  replay_.fuse_attention(options.fused_attention);
}

// Half of what states may take is for the samples themselves: unquantized, and once for each format with all
// units quantized; the other half is for candidates, up to a half of that for what keep() keeps.
std::vector<Experiment::Group> Experiment::groups() const {
  const std::uint64_t each = memory_.sample_bytes() * (3 + (options_.direction_out ? formats_.size() : 0));
  const std::uint64_t most = memory_.state_bytes(replay_.workers()) / 2 / each;
  const auto size = static_cast<std::size_t>(std::max<std::uint64_t>(1, most));
  std::vector<Group> groups;
  for (std::size_t i = 0; i < program_.samples.size(); ++i) {
    if (i % size == 0) groups.emplace_back();
    groups.back().push_back(i);
  }
  return groups;
}

void Experiment::report(double units) {
  progress_.units_done += units;
  if (options_.on_progress) options_.on_progress(progress_);
}

// What was found on the way to be known already was not counted.
void Experiment::report_end() {
  if (progress_.units - progress_.units_done > 1e-6) report(progress_.units - progress_.units_done);
}

Assignment Experiment::assignment_of(const Candidate& candidate) const {
  Assignment assignment(program_.unit_count());
  if (candidate.out) {
    for (std::size_t unit = 0; unit < selected_.size(); ++unit) {
      if (selected_[unit]) assignment.set(unit, candidate.format);
    }
    if (candidate.unit) assignment.set(*candidate.unit, nullptr);
  } else if (candidate.unit) {
    assignment.set(*candidate.unit, candidate.format);
  }
  return assignment;
}

Wanted Experiment::missing(const Want& want, const Candidate& candidate, std::size_t sample) const {
  Wanted wanted = want(candidate, sample);
  const std::string& hash = program_.samples[sample].sha256;
  if (!candidate.unit) {
    wanted.to_end = wanted.to_end && !store_.has(keys_.of_whole(hash, *candidate.format));
    return wanted;
  }
  const std::string& unit = program_.unit(*candidate.unit).name;
  const auto has = [&](const char* kind) {
    return store_.has(keys_.of(hash, unit, *candidate.format, kind));
  };
  wanted.inside = wanted.inside && !candidate.out && !(has("unit") && has("block"));
  wanted.to_end = wanted.to_end && !has(candidate.out ? "out" : "in");
  return wanted;
}

void Experiment::measure(const Want& want, const std::string& stage) {
  const auto each_missing = [&](auto&& visit) {
    for (std::size_t unit = 0; unit < selected_.size(); ++unit) {
      if (!selected_[unit]) continue;
      for (const Format& format : formats_) {
        for (const bool out : {false, true}) {
          for (std::size_t s = 0; s < program_.samples.size(); ++s) {
            const Wanted w = missing(want, {unit, &format, out}, s);
            if (w.inside || w.to_end) visit(s);
          }
        }
      }
    }
  };
  std::vector<bool> needed(program_.samples.size(), false);
  double pairs = 0;
  each_missing([&](std::size_t sample) {
    needed[sample] = true;
    ++pairs;
  });
  progress_ = {stage, 0, pairs / static_cast<double>(program_.samples.size())};
  for (const Format& format : formats_) {
    for (std::size_t s = 0; s < program_.samples.size(); ++s)
      needed[s] = needed[s] || missing(want, {std::nullopt, &format, true}, s).to_end;
  }
  if (std::ranges::none_of(needed, [](bool n) { return n; })) return;
  report(0);
  for (const Group& group : groups()) {
    if (std::ranges::none_of(group, [&](std::size_t s) { return needed[s]; })) continue;
    if (!reference_ || reference_->samples != group) prepare(group, {});
    measure_whole(group, want);
    measure_group(group, want);
  }
  report_end();
}

// As many formats at once as candidates' states may take.
void Experiment::measure_whole(const Group& group, const Want& want) {
  std::vector<Attempt> attempts;
  const auto run = [&] {
    std::vector<Attempt*> all;
    std::vector<Flight*> flights;
    for (Attempt& attempt : attempts) {
      attempt.flight = replay_.start(attempt.flight.assignment, attempt.samples);
      all.push_back(&attempt);
      flights.push_back(&attempt.flight);
    }
    if (!all.empty()) compare_at_end(replay_.advance_together({}, flights), all);
    for (const Attempt& attempt : attempts) put_end(attempt);
    attempts.clear();
    store_.flush();
  };
  const std::uint64_t budget = candidate_bytes();
  for (const Format& format : formats_) {
    auto attempt = attempt_of({std::nullopt, &format, true}, group, want);
    if (!attempt) continue;
    if (bytes_of(attempts) + bytes_of({&*attempt, 1}) > budget) run();
    attempts.push_back(std::move(*attempt));
  }
  run();
}

void Experiment::measure_group(const Group& group, const Want& want) {
  const auto asks = [&](std::size_t unit, const Format& format, bool out) {
    return selected_[unit] && std::ranges::any_of(group, [&](std::size_t s) {
             const Wanted wanted = missing(want, {unit, &format, out}, s);
             return wanted.inside || wanted.to_end;
           });
  };
  std::vector<bool> asked(selected_.size(), false);  // by unit
  Sweep sweep;
  sweep.bases.push_back({nullptr, replay_.start(Assignment(program_.unit_count()), group)});
  for (const Format& format : formats_) {
    bool any = false;
    for (std::size_t unit = 0; unit < selected_.size(); ++unit) {
      const bool out = asks(unit, format, true);
      any = any || out;
      asked[unit] = asked[unit] || out || asks(unit, format, false);
    }
    if (any)
      sweep.bases.push_back({&format, replay_.start(assignment_of({std::nullopt, &format, true}), group)});
  }
  auto left = std::ranges::count(asked, true);
  while (left > 0 && !sweep.stage.is_end(program_)) {
    const std::size_t first = program_.parts[sweep.stage.part]->first_unit;
    const auto here = std::ranges::count_if(sweep.stage.of(program_).units,
                                            [&](std::size_t local) { return asked[first + local]; });
    if (here > 0) measure_stage(sweep, group, want);
    replay_.forget_tails(sweep.stage);
    left -= here;
    if (left == 0 || sweep.stage.is_last(program_)) break;
    advance(sweep);
  }
  finish(sweep);
}

// To the next stage.
void Experiment::advance(Sweep& sweep) {
  const Stage next = sweep.stage.next(program_);
  std::vector<Flight*> flights;
  for (Attempt& attempt : sweep.flying) flights.push_back(&attempt.flight);
  for (Base& base : sweep.bases) {
    const auto kept = base.format == nullptr ? kept_.find(next) : kept_.end();
    if (kept != kept_.end()) {
      base.flight = kept->second;
    } else {
      flights.push_back(&base.flight);
    }
  }
  replay_.advance(sweep.stage, flights);
  std::ranges::move(sweep.fresh, std::back_inserter(sweep.flying));
  sweep.fresh.clear();
  sweep.stage = next;
}

// Takes all candidates that are on their way to the end.
void Experiment::finish(Sweep& sweep) {
  Stage stage = sweep.stage;
  if (!sweep.fresh.empty()) {
    std::vector<Flight*> behind;
    for (Attempt& attempt : sweep.flying) behind.push_back(&attempt.flight);
    replay_.advance(stage, behind);
    stage = stage.next(program_);
    std::ranges::move(sweep.fresh, std::back_inserter(sweep.flying));
    sweep.fresh.clear();
  }
  if (sweep.flying.empty()) return;
  std::vector<Attempt*> attempts;
  std::vector<Flight*> flights;
  for (Attempt& attempt : sweep.flying) {
    attempts.push_back(&attempt);
    flights.push_back(&attempt.flight);
  }
  compare_at_end(replay_.advance_together(stage, flights), attempts);
  for (const Attempt& attempt : sweep.flying) put_end(attempt);
  sweep.flying.clear();
  store_.flush();
}

std::optional<Experiment::Attempt> Experiment::attempt_of(const Candidate& candidate, const Group& group,
                                                          const Want& want) const {
  Attempt attempt{candidate, nullptr, {}, {}, {Assignment(0), {}, {}}, {}, {}, {}};
  for (const std::size_t sample : group) {
    const Wanted wanted = missing(want, candidate, sample);
    if (!wanted.inside && !wanted.to_end) continue;
    attempt.samples.push_back(sample);
    attempt.wanted.push_back(wanted);
  }
  if (attempt.samples.empty()) return std::nullopt;
  attempt.flight.samples = attempt.samples;
  attempt.flight.assignment = assignment_of(candidate);
  return attempt;
}

void Experiment::measure_stage(Sweep& sweep, const Group& group, const Want& want) {
  const ModelPart& part = *program_.parts[sweep.stage.part];
  const std::uint64_t budget = candidate_bytes();
  std::vector<Attempt> attempts;
  for (const std::size_t local : sweep.stage.of(program_).units) {
    const std::size_t unit = part.first_unit + local;
    for (const Base& base : sweep.bases) {
      for (const Format& format : formats_) {
        if (!selected_[unit] || (base.format != nullptr && base.format != &format)) continue;
        auto attempt = attempt_of({unit, &format, base.format != nullptr}, group, want);
        if (!attempt) continue;
        attempt->base = &base.flight;
        const std::uint64_t more = bytes_of({&*attempt, 1});
        if (bytes_of(attempts) + sweep_bytes(sweep) + more > budget) run_attempts(sweep, attempts);
        if (sweep_bytes(sweep) + more > budget) finish(sweep);
        attempts.push_back(std::move(*attempt));
      }
    }
  }
  run_attempts(sweep, attempts);
  if (enough_to_finish(sweep.fresh)) finish(sweep);
}

// Whether candidates best go to the end at once, each by itself: they keep all processors busy, and weights
// need not be shared with others that come later.
bool Experiment::enough_to_finish(const std::vector<Attempt>& attempts) const {
  std::size_t runs = 0;
  std::vector<const Assignment*> assignments;
  for (const Attempt& attempt : attempts) {
    runs += attempt.flight.samples.size();
    assignments.push_back(&attempt.flight.assignment);
  }
  return runs >= 4 * std::size_t{replay_.workers()} && replay_.weights_fit(assignments);
}

std::uint64_t Experiment::bytes_of(std::span<const Attempt> attempts) const {
  std::uint64_t samples = 0;
  for (const Attempt& attempt : attempts) samples += attempt.flight.samples.size();
  return samples * memory_.sample_bytes();
}

// At the units of the stage; what is to go to the end is added to the sweep. None is left.
void Experiment::run_attempts(Sweep& sweep, std::vector<Attempt>& attempts) {
  if (attempts.empty()) return;
  const Stage& stage = sweep.stage;
  std::map<const Flight*, std::vector<Attempt*>> of_base;
  std::set<std::size_t> samples;
  for (Attempt& attempt : attempts) {
    of_base[attempt.base].push_back(&attempt);
    samples.insert(attempt.flight.samples.begin(), attempt.flight.samples.end());
    // Made here, so that several threads can write to them.
    for (const std::size_t item : items_of(program_, stage.part, attempt.flight.samples)) {
      attempt.flight.states[item] = {};
      attempt.at_unit[item] = {};
      attempt.at_block[item] = {};
    }
    for (const std::size_t sample : attempt.flight.samples) attempt.at_end[sample] = {};
  }
  const auto look = [&](std::span<const std::size_t> some) {
    for (const auto& group : of_base) {
      const std::vector<Attempt*>& own = group.second;
      std::vector<std::size_t> items = items_of(program_, stage.part, some);
      std::erase_if(items, [&](std::size_t item) {
        return std::ranges::none_of(own, [&](const Attempt* a) { return a->flight.states.contains(item); });
      });
      replay_.look_inside(stage, *group.first, items, own.size(),
                          [&](std::size_t item, std::size_t piece, const Values& inside) {
                            look_at_item(stage, *own[piece], item, inside);
                          });
    }
  };
  const std::vector<std::size_t> all(samples.begin(), samples.end());
  if (stage.is_last(program_)) {
    with_outputs(all, look);
  } else {
    look(all);
  }
  for (Attempt& attempt : attempts) {
    put_inside(attempt);
    if (std::ranges::none_of(attempt.wanted, [](const Wanted& w) { return w.to_end; })) continue;
    if (stage.is_last(program_)) {
      put_end(attempt);
      continue;
    }
    keep_those_that_go_on(stage, attempt);
    if (stage.is_last_of_part(program_)) replay_.join(stage.part, attempt.flight);
    sweep.fresh.push_back(std::move(attempt));
  }
  attempts.clear();
  store_.flush();
}

// From several threads, for different items.
void Experiment::look_at_item(const Stage& stage, Attempt& attempt, std::size_t item, const Values& inside) {
  const auto place = attempt.flight.states.find(item);
  if (place == attempt.flight.states.end()) return;
  SegmentRunner& runner = replay_.runner(stage);
  const Segment& segment = runner.segment();
  const ModelPart& part = *program_.parts[stage.part];
  const std::size_t unit = *attempt.candidate.unit - part.first_unit;
  const Tail& tail = *std::ranges::find(segment.tails, unit, &Tail::unit);
  const bool in = !attempt.candidate.out;
  Values result = runner.run_tail(tail, attempt.base->states.at(item), replay_.statics(stage.part, item),
                                  inside, attempt.flight.assignment, in);
  replay_.count_pass();
  if (in) {
    const bool is_vision = stage.part + 1 < program_.parts.size();
    const std::vector<RowKind> none;
    const std::vector<RowKind>& rows = is_vision ? none : program_.samples[item].rows;
    const std::string& output = part.units[unit].output;
    const auto compared = [&](const std::string& value) {
      // Numbers of 64 bits and whole ones have no error of their own.
      if (inside.at(value).view.dtype != DType::f32) return LocalSums{};
      LocalSums sums = local_sums(inside.at(value).view, result.at(value).view, rows);
      if (is_vision) {
        sums.picture_difference = sums.difference;
        sums.picture_plain = sums.plain;
      }
      return sums;
    };
    attempt.at_unit.at(item) = compared(output);
    for (const std::string& value : tail.outputs) {
      if (std::ranges::find(segment.handed, value) == segment.handed.end())
        attempt.at_block.at(item) += compared(value);
    }
    if (std::ranges::find(segment.outputs, output) == segment.outputs.end()) result.erase(output);
  }
  if (stage.is_last(program_)) {
    attempt.at_end.at(item) = compare(item, outputs_.at(item), replay_.outputs_of(result), attempt.candidate);
    return;
  }
  place->second = std::move(result);
}

void Experiment::keep_those_that_go_on(const Stage& stage, Attempt& attempt) const {
  std::vector<std::size_t> samples;
  for (std::size_t i = 0; i < attempt.samples.size(); ++i) {
    if (attempt.wanted[i].to_end) samples.push_back(attempt.samples[i]);
  }
  attempt.flight.samples = std::move(samples);
  const std::vector<std::size_t> items = items_of(program_, stage.part, attempt.flight.samples);
  std::erase_if(attempt.flight.states,
                [&](const auto& state) { return std::ranges::find(items, state.first) == items.end(); });
}

Outputs Experiment::reference_output(std::size_t sample) { return replay_.run_last(*reference_, sample); }

OutputSums Experiment::sums_of(std::size_t sample, const Outputs& reference, const Outputs& outputs) const {
  OutputSums sums = output_sums(reference.front().view, outputs.front().view,
                                program_.has_logits ? &program_.samples[sample].answer : nullptr);
  for (std::size_t i = 1; i < outputs.size(); ++i)
    sums.others.push_back(other_sums(reference[i].view, outputs[i].view));
  return sums;
}

OutputSums Experiment::compare(std::size_t sample, const Outputs& reference, const Outputs& outputs,
                               const Candidate& candidate) const {
  const Sample& info = program_.samples[sample];
  if (!all_finite(outputs.front().view)) {
    throw InputError(fmt::format(
        "{} with {}{} quantized to {} gives an output that is not finite", info.name,
        candidate.out ? "all units" : "",
        candidate.unit ? (candidate.out ? " but " : "unit ") + program_.unit(*candidate.unit).name : "",
        to_string(*candidate.format)));
  }
  return sums_of(sample, reference, outputs);
}

// Calls work(some of the samples) until all had their turn, with the unquantized model's outputs for them in
// outputs_: as many at once as an eighth of what states may take holds.
void Experiment::with_outputs(const std::vector<std::size_t>& samples,
                              const std::function<void(std::span<const std::size_t> some)>& work) {
  const std::uint64_t room = memory_.state_bytes(replay_.workers()) / 8;
  const auto most =
      static_cast<std::size_t>(std::max<std::uint64_t>(1, room / std::max<std::uint64_t>(1, output_bytes_)));
  const bool all_fit = reference_->samples.size() <= most;
  for (std::size_t i = 0; i < samples.size(); i += most) {
    const std::span some = std::span(samples).subspan(i, std::min(most, samples.size() - i));
    std::vector<std::size_t> missing;
    std::ranges::copy_if(some, std::back_inserter(missing),
                         [&](std::size_t sample) { return !outputs_.contains(sample); });
    std::vector<Outputs> made(missing.size());
    parallel_for(made.size(), replay_.workers(), options_.cancel,
                 [&](std::size_t m, unsigned) { made[m] = reference_output(missing[m]); });
    for (std::size_t m = 0; m < made.size(); ++m) outputs_.insert_or_assign(missing[m], std::move(made[m]));
    work(some);
    if (!all_fit) outputs_.clear();
  }
}

// `stage`: where the flights stand.
void Experiment::compare_at_end(const Stage& stage, const std::vector<Attempt*>& attempts) {
  std::map<std::size_t, std::vector<Attempt*>> by_sample;
  std::vector<std::size_t> samples;
  for (Attempt* const attempt : attempts) {
    for (std::size_t i = 0; i < attempt->wanted.size(); ++i) {
      if (!attempt->wanted[i].to_end) continue;
      by_sample[attempt->samples[i]].push_back(attempt);
      attempt->at_end.try_emplace(attempt->samples[i]);
    }
  }
  for (const auto& [sample, list] : by_sample) samples.push_back(sample);
  with_outputs(samples, [&](std::span<const std::size_t> some) {
    std::vector<std::pair<std::size_t, Attempt*>> runs;
    for (const std::size_t sample : some) {
      for (Attempt* const attempt : by_sample.at(sample)) runs.emplace_back(sample, attempt);
    }
    parallel_for(runs.size(), replay_.workers(), options_.cancel, [&](std::size_t i, unsigned) {
      const auto& [sample, attempt] = runs[i];
      const Outputs outputs = replay_.run_rest(stage, attempt->flight, sample);
      attempt->at_end.at(sample) = compare(sample, outputs_.at(sample), outputs, attempt->candidate);
    });
  });
}

void Experiment::put_inside(const Attempt& attempt) {
  if (attempt.candidate.out) return;
  const std::string& unit = program_.unit(*attempt.candidate.unit).name;
  for (std::size_t i = 0; i < attempt.wanted.size(); ++i) {
    const std::size_t sample = attempt.samples[i];
    if (!attempt.wanted[i].inside) continue;
    LocalSums at_unit;
    LocalSums at_block;
    const bool in_pictures =
        program_.parts.size() > 1 && *attempt.candidate.unit < program_.parts.back()->first_unit;
    const std::vector<std::size_t> own{sample};
    for (const std::size_t item : in_pictures ? program_.samples[sample].pictures : own) {
      at_unit += attempt.at_unit.at(item);
      at_block += attempt.at_block.at(item);
    }
    const std::string& hash = program_.samples[sample].sha256;
    store_.put(keys_.of(hash, unit, *attempt.candidate.format, "unit"), at_unit.numbers());
    store_.put(keys_.of(hash, unit, *attempt.candidate.format, "block"), at_block.numbers());
    measured_ += 2;
    if (!attempt.wanted[i].to_end) report(1 / static_cast<double>(program_.samples.size()));
  }
}

void Experiment::put_end(const Attempt& attempt) {
  const Candidate& candidate = attempt.candidate;
  for (std::size_t i = 0; i < attempt.wanted.size(); ++i) {
    if (!attempt.wanted[i].to_end) continue;
    const std::size_t sample = attempt.samples[i];
    const std::string& hash = program_.samples[sample].sha256;
    const MeasurementKey key = candidate.unit ? keys_.of(hash, program_.unit(*candidate.unit).name,
                                                         *candidate.format, candidate.out ? "out" : "in")
                                              : keys_.of_whole(hash, *candidate.format);
    store_.put(key, attempt.at_end.at(sample).numbers());
    ++measured_;
    if (candidate.unit) report(1 / static_cast<double>(program_.samples.size()));
  }
}

}  // namespace qvl
