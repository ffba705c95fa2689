#include "sensitivity/stage_run.h"

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <utility>

namespace qvl {

void StageRun::run(std::vector<Attempt>& attempts, std::vector<Attempt>& going_on) {
  if (attempts.empty()) return;
  look(attempts);
  for (Attempt& attempt : attempts) {
    runs_.numbers().put_inside(attempt);
    if (std::ranges::none_of(attempt.wanted, [](const Wanted& w) { return w.to_end; })) continue;
    if (stage_.is_last(program_)) {
      runs_.numbers().put_end(attempt);
      continue;
    }
    keep_those_that_go_on(attempt);
    if (stage_.is_last_of_part(program_)) replay_.join(stage_.part, attempt.flight);
    going_on.push_back(std::move(attempt));
  }
  attempts.clear();
  runs_.numbers().flush();
}

// All attempts that leave the same run at once.
void StageRun::look(std::vector<Attempt>& attempts) {
  std::map<const Flight*, std::vector<Attempt*>> of_base;
  std::set<std::size_t> samples;
  for (Attempt& attempt : attempts) {
    of_base[attempt.base].push_back(&attempt);
    samples.insert(attempt.flight.samples.begin(), attempt.flight.samples.end());
    // Made here, so that several threads can write to them.
    for (const std::size_t item : items_of(program_, stage_.part, attempt.flight.samples)) {
      attempt.flight.states[item] = {};
      attempt.at_unit[item] = {};
      attempt.at_block[item] = {};
    }
    for (const std::size_t sample : attempt.flight.samples) attempt.at_end[sample] = {};
  }
  const auto look_at = [&](std::span<const std::size_t> some) {
    for (const auto& leaving : of_base) {
      const std::vector<Attempt*>& own = leaving.second;
      std::vector<std::size_t> items = items_of(program_, stage_.part, some);
      std::erase_if(items, [&](std::size_t item) {
        return std::ranges::none_of(own, [&](const Attempt* a) { return a->flight.states.contains(item); });
      });
      replay_.look_inside(stage_, *leaving.first, items, own.size(),
                          [&](std::size_t item, std::size_t piece, const Values& inside) {
                            look_at_item(*own[piece], item, inside);
                          });
    }
  };
  const std::vector<std::size_t> all(samples.begin(), samples.end());
  if (stage_.is_last(program_)) {
    runs_.plain().with_outputs(all, look_at);
  } else {
    look_at(all);
  }
}

// From several threads, for different items.
void StageRun::look_at_item(Attempt& attempt, std::size_t item, const Values& inside) {
  const auto place = attempt.flight.states.find(item);
  if (place == attempt.flight.states.end()) return;
  SegmentRunner& runner = replay_.runner(stage_);
  const Segment& segment = runner.segment();
  const ModelPart& part = *program_.parts[stage_.part];
  const std::size_t unit = *attempt.candidate.unit - part.first_unit;
  const Tail& tail = *std::ranges::find(segment.tails, unit, &Tail::unit);
  const bool in = !attempt.candidate.out;
  Values result = runner.run_tail(tail, attempt.base->states.at(item), replay_.statics(stage_.part, item),
                                  inside, attempt.flight.assignment, in);
  replay_.count_pass();
  if (in) {
    compare_inside(attempt, tail, item, inside, result);
    const std::string& output = part.units[unit].output;
    if (std::ranges::find(segment.outputs, output) == segment.outputs.end()) result.erase(output);
  }
  if (stage_.is_last(program_)) {
    attempt.at_end.at(item) = runs_.compare(item, replay_.outputs_of(result), attempt.candidate);
    return;
  }
  place->second = std::move(result);
}

// At the unit's output, and at the end of its block.
void StageRun::compare_inside(Attempt& attempt, const Tail& tail, std::size_t item, const Values& inside,
                              const Values& result) {
  const bool is_vision = stage_.part + 1 < program_.parts.size();
  const std::vector<RowKind> none;
  const std::vector<RowKind>& rows = is_vision ? none : program_.samples[item].rows;
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
  attempt.at_unit.at(item) = compared(program_.parts[stage_.part]->units[tail.unit].output);
  const Segment& segment = stage_.of(program_);
  for (const std::string& value : tail.outputs) {
    if (std::ranges::find(segment.handed, value) == segment.handed.end())
      attempt.at_block.at(item) += compared(value);
  }
}

void StageRun::keep_those_that_go_on(Attempt& attempt) const {
  std::vector<std::size_t> samples;
  for (std::size_t i = 0; i < attempt.samples.size(); ++i) {
    if (attempt.wanted[i].to_end) samples.push_back(attempt.samples[i]);
  }
  attempt.flight.samples = std::move(samples);
  const std::vector<std::size_t> items = items_of(program_, stage_.part, attempt.flight.samples);
  std::erase_if(attempt.flight.states,
                [&](const auto& state) { return std::ranges::find(items, state.first) == items.end(); });
}

}  // namespace qvl
