#include "bench/timed_runs.h"

#include <fmt/format.h>

#include <chrono>

#include "qvl/error.h"

namespace qvl {

void check_runs(const RunOptions& options) {
  if (options.runs < 1) throw UsageError(fmt::format("{} runs; at least 1 is expected", options.runs));
  if (options.warm_up < 0) throw UsageError(fmt::format("{} warm-up runs; 0 or more", options.warm_up));
}

void one_run(const RunOptions& options, const std::string& name, const std::function<void()>& run) {
  if (options.cancel != nullptr) options.cancel->throw_if_cancelled();
  if (options.progress != nullptr) options.progress->begin(name, 0);
  run();
  if (options.progress != nullptr) options.progress->end();
}

Samples time_runs(const RunOptions& options, const std::string& stage, const std::function<void()>& run) {
  check_runs(options);
  const auto time_run = [&] {
    double total = 0;
    int calls = 0;
    do {
      if (options.cancel != nullptr) options.cancel->throw_if_cancelled();
      total += seconds_of(run);
      ++calls;
    } while (total < options.least_seconds);
    return total / calls;
  };
  Samples samples;
  if (options.progress != nullptr) options.progress->begin(stage, 0);
  for (int i = -options.warm_up; i < options.runs; ++i) {
    const double seconds = time_run();
    if (i >= 0) samples.add(seconds);
    if (options.progress != nullptr) options.progress->advance(0);
  }
  if (options.progress != nullptr) options.progress->end();
  return samples;
}

double seconds_of(const std::function<void()>& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace qvl
