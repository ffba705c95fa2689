// The numbers of an experiment: which are in the store, and those that come, counted as they do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "qvl/sensitivity.h"
#include "replay/program.h"
#include "sensitivity/candidate.h"
#include "sensitivity/measurement_keys.h"
#include "sensitivity/measurement_store.h"

namespace qvl {

class MeasuredNumbers {
 public:
  // All must outlive it. What is put is kept from the next flush() on.
  MeasuredNumbers(const Program& program, MeasurementStore& store, const MeasurementKeys& keys,
                  const SensitivityOptions& options)
      : program_(program), store_(store), keys_(keys), options_(options) {}

  // What is wanted of the candidate and not in the store.
  [[nodiscard]] Wanted missing(const WantedOf& want, const Candidate& candidate, std::size_t sample) const;
  void put_inside(const Attempt& attempt);
  void put_end(const Attempt& attempt);

  [[nodiscard]] bool has(const NamedAssignment& named, std::size_t sample) const;
  // Of one that is in the store.
  [[nodiscard]] OutputSums of(const NamedAssignment& named, std::size_t sample) const;
  void put(const NamedAssignment& named, std::size_t sample, const OutputSums& sums);

  // The unquantized model's own, by kind (MeasurementKeys::of_plain).
  [[nodiscard]] std::optional<std::vector<double>> plain(std::size_t sample, const std::string& kind) const;
  void put_plain(std::size_t sample, const std::string& kind, std::span<const double> numbers);

  void flush() { store_.flush(); }

  // Progress is told to the options' on_progress: of `units` units, done so far.
  void begin(const std::string& stage, double units);
  void done(double units);
  // `units` of one sample each.
  void done_samples(std::size_t units);
  // What was found on the way to be known already was not counted.
  void end();

  // Numbers of candidates and assignments that were put.
  [[nodiscard]] std::int64_t measured() const noexcept { return measured_; }

 private:
  [[nodiscard]] MeasurementKey key_of(const NamedAssignment& named, std::size_t sample) const;

  const Program& program_;
  MeasurementStore& store_;
  const MeasurementKeys& keys_;
  const SensitivityOptions& options_;
  SensitivityProgress progress_;
  std::int64_t measured_ = 0;
};

}  // namespace qvl
