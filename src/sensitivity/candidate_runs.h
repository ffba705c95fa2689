// Candidates on their way: made, counted, compared at the model's output.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sensitivity/candidate.h"
#include "sensitivity/measured_numbers.h"
#include "sensitivity/plain_run.h"
#include "sensitivity/replay_tools.h"

namespace qvl {

class CandidateRuns {
 public:
  // All must outlive it.
  CandidateRuns(ReplayTools& tools, PlainRun& plain, MeasuredNumbers& numbers, const CandidateSpace& space)
      : tools_(tools), plain_(plain), numbers_(numbers), space_(space) {}

  // On the samples of the group for which something is wanted that is not in the store; nothing where there
  // is none.
  [[nodiscard]] std::optional<Attempt> attempt_of(const Candidate& candidate, const SampleGroup& group,
                                                  const WantedOf& want) const;
  // Of their states.
  [[nodiscard]] std::uint64_t bytes_of(std::span<const Attempt> attempts) const;
  // Whether they best go to the end at once, each by itself: they keep all processors busy, and weights need
  // not be shared with others that come later.
  [[nodiscard]] bool enough_to_finish(std::span<const Attempt> attempts) const;

  // Takes them from the stage in front of which they stand to the end; their numbers go to the store. None is
  // left.
  void finish(const Stage& stage, std::vector<Attempt>& attempts);

  // The whole model in every format for which that is wanted, as many at once as memory allows.
  void run_whole(const SampleGroup& group, const WantedOf& want);

  // Inside PlainRun::with_outputs. Throws InputError naming sample and candidate for an output that is not
  // finite.
  [[nodiscard]] OutputSums compare(std::size_t sample, const Outputs& outputs,
                                   const Candidate& candidate) const;

  [[nodiscard]] ReplayTools& tools() noexcept { return tools_; }
  [[nodiscard]] PlainRun& plain() noexcept { return plain_; }
  [[nodiscard]] MeasuredNumbers& numbers() noexcept { return numbers_; }
  [[nodiscard]] const CandidateSpace& space() const noexcept { return space_; }

 private:
  void compare_at_end(const Stage& stage, std::vector<Attempt>& attempts);

  ReplayTools& tools_;
  PlainRun& plain_;
  MeasuredNumbers& numbers_;
  const CandidateSpace& space_;
};

}  // namespace qvl
