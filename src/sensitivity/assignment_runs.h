// Whole assignments, each replayed from where it leaves the first of them.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "sensitivity/candidate.h"
#include "sensitivity/measured_numbers.h"
#include "sensitivity/plain_run.h"
#include "sensitivity/replay_tools.h"

namespace qvl {

class AssignmentRuns {
 public:
  // All must outlive it.
  AssignmentRuns(ReplayTools& tools, PlainRun& plain, MeasuredNumbers& numbers)
      : tools_(tools), plain_(plain), numbers_(numbers) {}

  // The model's output with each of them on the samples of a group that PlainRun has; those that are in the
  // store are not measured again. The first goes through the stages; the others go to the end from where they
  // leave it, as many at once as memory allows.
  void run(const SampleGroup& group, std::span<const NamedAssignment> assignments);

 private:
  void finish(const Stage& stage, const SampleGroup& group, std::span<const NamedAssignment* const> leaving,
              const Flight& base);

  ReplayTools& tools_;
  PlainRun& plain_;
  MeasuredNumbers& numbers_;
};

}  // namespace qvl
