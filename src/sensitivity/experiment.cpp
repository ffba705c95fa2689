#include "sensitivity/experiment.h"

#include <algorithm>

#include "core/parallel.h"
#include "sensitivity/candidate_sweep.h"

namespace qvl {

Experiment::Experiment(Program& program, MeasurementStore& store, const std::vector<Format>& formats,
                       const std::vector<bool>& selected, const MeasurementKeys& keys,
                       const SensitivityOptions& options)
    : options_(options),
      space_{formats, selected},
      tools_(program, options),
      numbers_(program, store, keys, options),
      plain_(tools_, numbers_),
      candidates_(tools_, plain_, numbers_, space_),
      assignments_(tools_, plain_, numbers_) {}

// Half of what states may take is for the samples themselves: unquantized, and once for each format with all
// units quantized; the other half is for candidates, up to a half of that for what PlainRun keeps.
std::vector<SampleGroup> Experiment::groups() const {
  const std::uint64_t each =
      tools_.memory.sample_bytes() * (3 + (options_.direction_out ? space_.formats.size() : 0));
  const std::uint64_t most = tools_.state_bytes() / 2 / each;
  const auto size = static_cast<std::size_t>(std::max<std::uint64_t>(1, most));
  std::vector<SampleGroup> groups;
  for (std::size_t i = 0; i < samples(); ++i) {
    if (i % size == 0) groups.emplace_back();
    groups.back().push_back(i);
  }
  return groups;
}

void Experiment::run_plain(const ObserveInput& observe) {
  numbers_.begin("unquantized model", 0);
  learn_memory(observe);
  const std::vector<SampleGroup> all = groups();
  if (samples() == 1) return;
  // Without an observer measure() prepares each group when its turn comes.
  if (!observe && all.size() > 1) return;
  for (const SampleGroup& group : all) plain_.prepare(group, observe);
}

// From the first sample.
void Experiment::learn_memory(const ObserveInput& observe) {
  const std::uint64_t fixed = MemoryPlan::resident();
  MemoryPlan::watch();
  const bool alone = samples() == 1;
  // Where there are others, each is looked at once later, and this is no run to compare with.
  plain_.prepare({0}, alone ? observe : ObserveInput(), PlainRun::Purpose::learn);
  if (!alone) plain_.forget();
  const std::uint64_t peak = MemoryPlan::most_resident();
  const std::uint64_t held = fixed + tools_.weights.held_bytes() + plain_.sample_bytes();
  // A candidate's run has the values inside the segment beside its own.
  const std::uint64_t run = (peak > held ? peak - held : 0) + plain_.run_bytes();
  tools_.memory.learn(fixed, run, plain_.sample_bytes());
  tools_.replay.set_workers(tools_.memory.workers(worker_count(options_.threads)));
}

void Experiment::measure(const WantedOf& want, const std::string& stage) {
  std::vector<bool> needed(samples(), false);
  double pairs = 0;
  for (std::size_t s = 0; s < samples(); ++s) {
    for (const Format& format : space_.formats) {
      for (std::size_t unit = 0; unit < space_.selected.size(); ++unit) {
        for (const bool out : {false, true}) {
          if (!space_.selected[unit]) continue;
          const Wanted wanted = numbers_.missing(want, {unit, &format, out}, s);
          if (!wanted.inside && !wanted.to_end) continue;
          needed[s] = true;
          ++pairs;
        }
      }
      needed[s] = needed[s] || numbers_.missing(want, {std::nullopt, &format, true}, s).to_end;
    }
  }
  const auto is_needed = [&](std::size_t sample) { return needed[sample]; };
  if (std::ranges::find(needed, true) == needed.end()) return;
  numbers_.begin(stage, pairs / static_cast<double>(samples()));
  for (const SampleGroup& group : groups()) {
    if (std::ranges::none_of(group, is_needed)) continue;
    plain_.need(group);
    candidates_.run_whole(group, want);
    CandidateSweep(candidates_, group, want).run();
  }
  numbers_.end();
}

bool Experiment::has(const NamedAssignment& named) const {
  for (std::size_t s = 0; s < samples(); ++s) {
    if (!numbers_.has(named, s)) return false;
  }
  return true;
}

std::vector<OutputError> Experiment::measure_assignments(std::span<const NamedAssignment> assignments,
                                                         const std::string& stage) {
  const auto is_known = [&](std::size_t sample) {
    return std::ranges::all_of(assignments,
                               [&](const NamedAssignment& named) { return numbers_.has(named, sample); });
  };
  std::vector<bool> known;
  for (std::size_t s = 0; s < samples(); ++s) known.push_back(is_known(s));
  if (std::ranges::find(known, false) != known.end()) {
    numbers_.begin(stage, static_cast<double>(assignments.size()));
    for (const SampleGroup& group : groups()) {
      if (std::ranges::all_of(group, [&](std::size_t s) { return known[s]; })) {
        numbers_.done_samples(group.size() * assignments.size());
        continue;
      }
      plain_.need(group);
      assignments_.run(group, assignments);
    }
    numbers_.end();
  }
  std::vector<OutputError> errors;
  for (const NamedAssignment& named : assignments) {
    std::vector<OutputSums> sums;
    for (std::size_t s = 0; s < samples(); ++s) sums.push_back(numbers_.of(named, s));
    errors.push_back(output_error(sums, tools_.program.parts.back()->compared.others));
  }
  return errors;
}

}  // namespace qvl
