// How often something is run to be measured, and the times it takes.
#pragma once

#include <functional>
#include <string>

#include "bench/samples.h"
#include "qvl/progress.h"

namespace qvl {

struct RunOptions {
  int warm_up = 1;  // runs before those that count
  int runs = 5;
  // A run calls what is measured again and again until this has passed, and counts the mean: for what is too
  // short to be timed alone. 0: once.
  double least_seconds = 0.05;
  Progress* progress = nullptr;         // may be null; told outside what is timed
  const CancelToken* cancel = nullptr;  // may be null
};

// Throws UsageError when there is no run to measure, or the warm-up is negative.
void check_runs(const RunOptions& options);

// Calls `run` once; `name` is told to the progress. Throws Interrupted when cancelled before.
void one_run(const RunOptions& options, const std::string& name, const std::function<void()>& run);

// Warms up, then gives the seconds of wall time that one call takes in each run that counts.
[[nodiscard]] Samples time_runs(const RunOptions& options, const std::string& stage,
                                const std::function<void()>& run);

// Seconds of wall time of one call.
[[nodiscard]] double seconds_of(const std::function<void()>& run);

}  // namespace qvl
