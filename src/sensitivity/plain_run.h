// The unquantized run of a group of samples: what every candidate is compared with, and starts from.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "replay/flight.h"
#include "sensitivity/candidate.h"
#include "sensitivity/measured_numbers.h"
#include "sensitivity/plain_outputs.h"
#include "sensitivity/plain_steps.h"
#include "sensitivity/replay_tools.h"

namespace qvl {

class PlainRun {
 public:
  // All must outlive it.
  PlainRun(ReplayTools& tools, MeasuredNumbers& numbers);

  // What a run is for. One that only learns how much memory the model takes, and is done again, does with one
  // run of a segment for what is inside and for its outputs, which differ by rounding from those of another
  // session; with a single sample it is compared with as well.
  enum class Purpose { compare, learn };

  // Forgets the group before and runs this one: answers for samples that have none, what the model's own say
  // is right, that nothing inside is not finite. Its numbers go to the store. `observe`, unless it is empty,
  // sees every input of every unit. Throws InputError naming sample and unit.
  void prepare(const SampleGroup& group, const ObserveInput& observe, Purpose purpose = Purpose::compare);
  // Unless it is the group that is there.
  void need(const SampleGroup& group);
  void forget();

  // In front of another stage than the first, where it was kept; else null.
  [[nodiscard]] const Flight* kept(const Stage& stage) const;
  // As PlainOutputs::with.
  void with_outputs(const std::vector<std::size_t>& samples,
                    const std::function<void(std::span<const std::size_t> some)>& work);
  [[nodiscard]] const PlainOutputs& outputs() const noexcept { return outputs_; }

  // For the states of candidates that are on their way at once.
  [[nodiscard]] std::uint64_t candidate_bytes() const { return tools_.state_bytes() / 2 - kept_bytes_; }
  // The most that the states of a sample took.
  [[nodiscard]] std::uint64_t sample_bytes() const noexcept { return sample_bytes_; }
  // The most that one run took beside states: what lies inside a segment, and outputs twice.
  [[nodiscard]] std::uint64_t run_bytes() const noexcept {
    return steps_.most_inside_bytes() + 2 * outputs_.most_bytes();
  }

 private:
  void step(const Stage& stage, Flight& base, const ObserveInput& observe, Purpose purpose);
  void keep(const Stage& stage, const Flight& base);
  void check_outputs(std::size_t sample, bool put);

  ReplayTools& tools_;
  MeasuredNumbers& numbers_;
  PlainSteps steps_;
  PlainOutputs outputs_;
  std::optional<Flight> flight_;  // in front of the last stage
  std::map<Stage, Flight> kept_;  // in front of other stages, as many as there is room for
  std::uint64_t kept_bytes_ = 0;
  std::uint64_t sample_bytes_ = 0;
};

}  // namespace qvl
