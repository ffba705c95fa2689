// Measures candidates: a unit in a format, alone or with all others, on samples; each number goes to the
// store as it is found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "quant/format.h"
#include "qvl/sensitivity.h"
#include "sensitivity/assignment_runs.h"
#include "sensitivity/candidate.h"
#include "sensitivity/candidate_runs.h"
#include "sensitivity/measured_numbers.h"
#include "sensitivity/measurement_keys.h"
#include "sensitivity/measurement_store.h"
#include "sensitivity/plain_run.h"
#include "sensitivity/replay_tools.h"

namespace qvl {

class Experiment {
 public:
  // All must outlive it. `selected`: the units that are quantized, of all parts.
  Experiment(Program& program, MeasurementStore& store, const std::vector<Format>& formats,
             const std::vector<bool>& selected, const MeasurementKeys& keys,
             const SensitivityOptions& options);

  // Runs the unquantized model on samples: answers for those that have none, what an own answer says is
  // right, that nothing inside is not finite, and how much memory all this takes. Throws InputError naming
  // sample and unit. `observe`, unless it is empty, sees every input of every unit.
  void run_plain(const ObserveInput& observe);

  void set_ranges(StaticRanges ranges) { tools_.ranges = std::move(ranges); }

  // Measures what is wanted and not in the store, over all samples.
  void measure(const WantedOf& want, const std::string& stage);

  // The model's output with each of these assignments, over all samples; what is in the store is not measured
  // again. They best differ little from the first: each is replayed from where it leaves it.
  [[nodiscard]] std::vector<OutputError> measure_assignments(std::span<const NamedAssignment> assignments,
                                                             const std::string& stage);

  [[nodiscard]] bool has(const NamedAssignment& named) const;

  [[nodiscard]] double passes() const { return tools_.replay.passes(); }
  [[nodiscard]] std::int64_t measured() const noexcept { return numbers_.measured(); }
  [[nodiscard]] WeightStore& weights() noexcept { return tools_.weights; }

 private:
  [[nodiscard]] std::size_t samples() const noexcept { return tools_.program.samples.size(); }
  [[nodiscard]] std::vector<SampleGroup> groups() const;
  void learn_memory(const ObserveInput& observe);

  const SensitivityOptions& options_;
  CandidateSpace space_;
  ReplayTools tools_;
  MeasuredNumbers numbers_;
  PlainRun plain_;
  CandidateRuns candidates_;
  AssignmentRuns assignments_;
};

}  // namespace qvl
