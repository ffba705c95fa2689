// Measures candidates: a unit in a format, alone or with all others, on samples; each number goes to the
// store as it is found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "quant/format.h"
#include "quant/range_calibrator.h"
#include "qvl/sensitivity.h"
#include "replay/flight.h"
#include "replay/memory_plan.h"
#include "replay/replay.h"
#include "sensitivity/measurement_keys.h"
#include "sensitivity/measurement_store.h"
#include "sensitivity/metrics.h"

namespace qvl {

// A unit in a format: the only one that is quantized, or (out) the only one that is not. No unit (nullopt)
// and out: the whole model is quantized.
struct Candidate {
  std::optional<std::size_t> unit;
  const Format* format = nullptr;
  bool out = false;
};

// What is wanted of a candidate on a sample.
struct Wanted {
  bool inside = false;  // errors at the unit and at the end of its block (in only)
  bool to_end = false;  // error of the model's output
};

// The units in any mix of formats. `key` tells it from all others that are measured with the same store.
struct NamedAssignment {
  std::string key;
  Assignment assignment;
};

class Experiment {
 public:
  using Want = std::function<Wanted(const Candidate& candidate, std::size_t sample)>;

  // All must outlive it. `selected`: the units that are quantized, of all parts.
  Experiment(Program& program, MeasurementStore& store, const std::vector<Format>& formats,
             const std::vector<bool>& selected, const MeasurementKeys& keys,
             const SensitivityOptions& options);

  // Runs the unquantized model on samples: answers for those that have none, what an own answer says is
  // right, that nothing inside is not finite, and how much memory all this takes. Throws InputError naming
  // sample and unit. With `calibrator` set, it sees every input of every unit.
  using Observe = std::function<void(std::size_t unit, std::size_t sample, const TensorView& input)>;
  void run_plain(const Observe& observe);

  void set_ranges(StaticRanges ranges) { ranges_ = std::move(ranges); }

  // Measures what is wanted and not in the store, over all samples.
  void measure(const Want& want, const std::string& stage);

  // The model's output with each of these assignments, over all samples; what is in the store is not measured
  // again. They best differ little from the first: each is replayed from where it leaves it.
  [[nodiscard]] std::vector<OutputError> measure_assignments(std::span<const NamedAssignment> assignments,
                                                             const std::string& stage);

  [[nodiscard]] bool has(const NamedAssignment& named) const;

  [[nodiscard]] double passes() const { return replay_.passes(); }
  [[nodiscard]] std::int64_t measured() const noexcept { return measured_; }
  [[nodiscard]] WeightStore& weights() noexcept { return weights_; }

 private:
  struct Attempt {
    Candidate candidate;
    const Flight* base = nullptr;  // that it leaves: all others unquantized, or all quantized
    std::vector<std::size_t> samples;
    std::vector<Wanted> wanted;  // by sample
    Flight flight;               // of all samples; behind the block only of those that go to the end
    std::unordered_map<std::size_t, LocalSums> at_unit;   // by item
    std::unordered_map<std::size_t, LocalSums> at_block;  // by item
    std::unordered_map<std::size_t, OutputSums> at_end;   // by sample
  };
  // The whole model in a format (null: unquantized), on its way through the stages.
  struct Base {
    const Format* format = nullptr;
    Flight flight;
  };
  // A group of samples on its way through the stages, with the candidates that go to the end: those in front
  // of the stage, and those behind it, whose units are in it.
  struct Sweep {
    Stage stage;
    std::vector<Base> bases;
    std::vector<Attempt> flying;
    std::vector<Attempt> fresh;
  };
  using Group = std::vector<std::size_t>;  // samples whose states are held at once

  [[nodiscard]] std::vector<Group> groups() const;
  // For the states of candidates that are on their way at once.
  [[nodiscard]] std::uint64_t candidate_bytes() const {
    return memory_.state_bytes(replay_.workers()) / 2 - kept_bytes_;
  }
  void prepare(const Group& group, const Observe& observe);
  void forget_reference();
  void advance_checked(const Stage& stage, Flight& base);
  void keep(const Stage& stage, const Flight& base);
  void own_answers(const Group& group);
  // Whether this run of the unquantized model is for the memory that it takes only, and done again: then one
  // run of a segment does for what is inside and for its outputs, which differ by rounding from those of
  // another session.
  [[nodiscard]] bool only_learns() const { return learning_ && program_.samples.size() > 1; }
  void check_outputs(std::size_t sample, const Outputs& outputs);
  void run_shapes(Flight& flight);
  void keep_shapes(const Stage& stage, const Flight& flight);
  void check_inside(const Stage& stage, const Flight& base, const Observe& observe, Flight* next = nullptr);
  [[nodiscard]] Wanted missing(const Want& want, const Candidate& candidate, std::size_t sample) const;
  [[nodiscard]] Assignment assignment_of(const Candidate& candidate) const;
  void measure_group(const Group& group, const Want& want);
  void measure_whole(const Group& group, const Want& want);
  void measure_stage(Sweep& sweep, const Group& group, const Want& want);
  void advance(Sweep& sweep);
  void finish(Sweep& sweep);
  [[nodiscard]] bool enough_to_finish(const std::vector<Attempt>& attempts) const;
  [[nodiscard]] std::uint64_t bytes_of(std::span<const Attempt> attempts) const;
  [[nodiscard]] std::uint64_t sweep_bytes(const Sweep& sweep) const {
    return bytes_of(sweep.flying) + bytes_of(sweep.fresh);
  }
  [[nodiscard]] std::optional<Attempt> attempt_of(const Candidate& candidate, const Group& group,
                                                  const Want& want) const;
  void run_attempts(Sweep& sweep, std::vector<Attempt>& attempts);
  void look_at_item(const Stage& stage, Attempt& attempt, std::size_t item, const Values& inside);
  void keep_those_that_go_on(const Stage& stage, Attempt& attempt) const;
  void with_outputs(const std::vector<std::size_t>& samples,
                    const std::function<void(std::span<const std::size_t> some)>& work);
  void compare_at_end(const Stage& stage, const std::vector<Attempt*>& attempts);
  [[nodiscard]] Outputs reference_output(std::size_t sample);
  [[nodiscard]] OutputSums compare(std::size_t sample, const Outputs& reference, const Outputs& outputs,
                                   const Candidate& candidate) const;
  [[nodiscard]] OutputSums sums_of(std::size_t sample, const Outputs& reference,
                                   const Outputs& outputs) const;
  void put_inside(const Attempt& attempt);
  void put_end(const Attempt& attempt);
  [[nodiscard]] MeasurementKey assignment_key(const NamedAssignment& named, std::size_t sample) const;
  void measure_group(const Group& group, std::span<const NamedAssignment> assignments);
  void finish(const Stage& stage, const Group& group, const std::vector<const NamedAssignment*>& leaving,
              const Flight& base);
  void report(double units);
  void report_end();

  Program& program_;
  MeasurementStore& store_;
  const std::vector<Format>& formats_;
  const std::vector<bool>& selected_;
  const MeasurementKeys& keys_;
  const SensitivityOptions& options_;
  StaticRanges ranges_;
  MemoryPlan memory_;
  WeightStore weights_;
  Replay replay_;
  std::optional<Flight> reference_;  // unquantized, in front of the last stage
  std::map<Stage, Flight> kept_;     // the reference in front of other stages, as many as there is room for
  std::uint64_t kept_bytes_ = 0;
  std::map<std::size_t, Outputs> outputs_;  // of the reference, of some samples
  SensitivityProgress progress_;
  bool learning_ = false;           // of the memory that this model takes
  std::uint64_t sample_bytes_ = 0;  // the most that the states of a sample take
  std::uint64_t inside_bytes_ = 0;  // the most that lies inside a segment
  std::uint64_t output_bytes_ = 0;
  std::int64_t measured_ = 0;
};

}  // namespace qvl
