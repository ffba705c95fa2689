#include "sensitivity/candidate_runs.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "core/parallel.h"
#include "qvl/error.h"

namespace qvl {

std::optional<Attempt> CandidateRuns::attempt_of(const Candidate& candidate, const SampleGroup& group,
                                                 const WantedOf& want) const {
  Attempt attempt{candidate, nullptr, {}, {}, {Assignment(0), {}, {}}, {}, {}, {}};
  for (const std::size_t sample : group) {
    const Wanted wanted = numbers_.missing(want, candidate, sample);
    if (!wanted.inside && !wanted.to_end) continue;
    attempt.samples.push_back(sample);
    attempt.wanted.push_back(wanted);
  }
  if (attempt.samples.empty()) return std::nullopt;
  attempt.flight.samples = attempt.samples;
  attempt.flight.assignment = space_.assignment_of(candidate);
  return attempt;
}

std::uint64_t CandidateRuns::bytes_of(std::span<const Attempt> attempts) const {
  std::uint64_t samples = 0;
  for (const Attempt& attempt : attempts) samples += attempt.flight.samples.size();
  return samples * tools_.memory.sample_bytes();
}

bool CandidateRuns::enough_to_finish(std::span<const Attempt> attempts) const {
  std::size_t runs = 0;
  std::vector<const Assignment*> assignments;
  for (const Attempt& attempt : attempts) {
    runs += attempt.flight.samples.size();
    assignments.push_back(&attempt.flight.assignment);
  }
  return runs >= 4 * std::size_t{tools_.replay.workers()} && tools_.replay.weights_fit(assignments);
}

void CandidateRuns::finish(const Stage& stage, std::vector<Attempt>& attempts) {
  if (attempts.empty()) return;
  std::vector<Flight*> flights;
  for (Attempt& attempt : attempts) flights.push_back(&attempt.flight);
  compare_at_end(tools_.replay.advance_together(stage, flights), attempts);
  for (const Attempt& attempt : attempts) numbers_.put_end(attempt);
  attempts.clear();
  numbers_.flush();
}

void CandidateRuns::run_whole(const SampleGroup& group, const WantedOf& want) {
  std::vector<Attempt> attempts;
  const auto run = [&] {
    for (Attempt& attempt : attempts)
      attempt.flight = tools_.replay.start(attempt.flight.assignment, attempt.samples);
    finish({}, attempts);
  };
  const std::uint64_t budget = plain_.candidate_bytes();
  for (const Format& format : space_.formats) {
    auto attempt = attempt_of({std::nullopt, &format, true}, group, want);
    if (!attempt) continue;
    if (bytes_of(attempts) + bytes_of({&*attempt, 1}) > budget) run();
    attempts.push_back(std::move(*attempt));
  }
  run();
}

OutputSums CandidateRuns::compare(std::size_t sample, const Outputs& outputs,
                                  const Candidate& candidate) const {
  if (!all_finite(outputs.front().view)) {
    const Program& program = tools_.program;
    throw InputError(fmt::format(
        "{} with {}{} quantized to {} gives an output that is not finite", program.samples[sample].name,
        candidate.out ? "all units" : "",
        candidate.unit ? (candidate.out ? " but " : "unit ") + program.unit(*candidate.unit).name : "",
        to_string(*candidate.format)));
  }
  return plain_.outputs().compare(sample, outputs);
}

// `stage`: where the flights stand.
void CandidateRuns::compare_at_end(const Stage& stage, std::vector<Attempt>& attempts) {
  std::map<std::size_t, std::vector<Attempt*>> by_sample;
  std::vector<std::size_t> samples;
  for (Attempt& attempt : attempts) {
    for (std::size_t i = 0; i < attempt.wanted.size(); ++i) {
      if (!attempt.wanted[i].to_end) continue;
      by_sample[attempt.samples[i]].push_back(&attempt);
      attempt.at_end.try_emplace(attempt.samples[i]);
    }
  }
  for (const auto& [sample, list] : by_sample) samples.push_back(sample);
  plain_.with_outputs(samples, [&](std::span<const std::size_t> some) {
    std::vector<std::pair<std::size_t, Attempt*>> runs;
    for (const std::size_t sample : some) {
      for (Attempt* const attempt : by_sample.at(sample)) runs.emplace_back(sample, attempt);
    }
    parallel_for(runs.size(), tools_.replay.workers(), tools_.cancel, [&](std::size_t i, unsigned) {
      const auto& [sample, attempt] = runs[i];
      const Outputs outputs = tools_.replay.run_rest(stage, attempt->flight, sample);
      attempt->at_end.at(sample) = compare(sample, outputs, attempt->candidate);
    });
  });
}

}  // namespace qvl
