#include "sensitivity/candidate_sweep.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "sensitivity/stage_run.h"

namespace qvl {

CandidateSweep::CandidateSweep(CandidateRuns& runs, const SampleGroup& group, const WantedOf& want)
    : runs_(runs), group_(group), want_(want), asked_(runs.space().selected.size(), false) {
  const CandidateSpace& space = runs.space();
  Replay& replay = runs.tools().replay;
  bases_.push_back({nullptr, replay.start(Assignment(space.selected.size()), group)});
  for (const Format& format : space.formats) {
    bool any = false;
    for (std::size_t unit = 0; unit < space.selected.size(); ++unit) {
      const bool out = asks(unit, format, true);
      any = any || out;
      asked_[unit] = asked_[unit] || out || asks(unit, format, false);
    }
    if (any)
      bases_.push_back({&format, replay.start(space.assignment_of({std::nullopt, &format, true}), group)});
  }
}

bool CandidateSweep::asks(std::size_t unit, const Format& format, bool out) const {
  return runs_.space().selected[unit] && std::ranges::any_of(group_, [&](std::size_t sample) {
           const Wanted wanted = runs_.numbers().missing(want_, {unit, &format, out}, sample);
           return wanted.inside || wanted.to_end;
         });
}

void CandidateSweep::run() {
  const Program& program = runs_.tools().program;
  auto left = std::ranges::count(asked_, true);
  while (left > 0 && !stage_.is_end(program)) {
    const std::size_t first = program.parts[stage_.part]->first_unit;
    const auto here = std::ranges::count_if(stage_.of(program).units,
                                            [&](std::size_t local) { return asked_[first + local]; });
    if (here > 0) measure_stage();
    runs_.tools().replay.forget_tails(stage_);
    left -= here;
    if (left == 0 || stage_.is_last(program)) break;
    advance();
  }
  finish();
}

void CandidateSweep::measure_stage() {
  const Program& program = runs_.tools().program;
  const ModelPart& part = *program.parts[stage_.part];
  const std::uint64_t budget = runs_.plain().candidate_bytes();
  const CandidateSpace& space = runs_.space();
  StageRun at_units(runs_, stage_);
  std::vector<Attempt> attempts;
  for (const std::size_t local : stage_.of(program).units) {
    const std::size_t unit = part.first_unit + local;
    for (const Base& base : bases_) {
      for (const Format& format : space.formats) {
        if (!space.selected[unit] || (base.format != nullptr && base.format != &format)) continue;
        auto attempt = runs_.attempt_of({unit, &format, base.format != nullptr}, group_, want_);
        if (!attempt) continue;
        attempt->base = &base.flight;
        const std::uint64_t more = runs_.bytes_of({&*attempt, 1});
        if (runs_.bytes_of(attempts) + bytes() + more > budget) at_units.run(attempts, fresh_);
        if (bytes() + more > budget) finish();
        attempts.push_back(std::move(*attempt));
      }
    }
  }
  at_units.run(attempts, fresh_);
  if (runs_.enough_to_finish(fresh_)) finish();
}

// To the next stage.
void CandidateSweep::advance() {
  const Stage next = stage_.next(runs_.tools().program);
  std::vector<Flight*> flights;
  for (Attempt& attempt : flying_) flights.push_back(&attempt.flight);
  for (Base& base : bases_) {
    const Flight* const kept = base.format == nullptr ? runs_.plain().kept(next) : nullptr;
    if (kept != nullptr) {
      base.flight = *kept;
    } else {
      flights.push_back(&base.flight);
    }
  }
  runs_.tools().replay.advance(stage_, flights);
  join_flying();
  stage_ = next;
}

// Takes all candidates that are on their way to the end.
void CandidateSweep::finish() {
  Stage stage = stage_;
  if (!fresh_.empty()) {
    std::vector<Flight*> behind;
    for (Attempt& attempt : flying_) behind.push_back(&attempt.flight);
    runs_.tools().replay.advance(stage, behind);
    stage = stage.next(runs_.tools().program);
    join_flying();
  }
  runs_.finish(stage, flying_);
}

void CandidateSweep::join_flying() {
  std::ranges::move(fresh_, std::back_inserter(flying_));
  fresh_.clear();
}

}  // namespace qvl
