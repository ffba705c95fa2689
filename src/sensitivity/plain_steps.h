// The unquantized model's way through the stages, looked at and checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "core/tensor.h"
#include "replay/flight.h"
#include "replay/replay.h"

namespace qvl {

// Sees the input of a unit, with the sample that it is of.
using ObserveInput = std::function<void(std::size_t unit, std::size_t sample, const TensorView& input)>;

class PlainSteps {
 public:
  // Both must outlive it.
  PlainSteps(const Program& program, Replay& replay) : program_(program), replay_(replay) {}

  // Runs the stage for a flight that stands in front of it, and keeps the shapes that its segment gives.
  // `observe`, unless it is empty, sees every input of every unit of the stage. With `next` set, its states
  // become what the segment gives. Throws InputError naming sample and unit where the output of a unit is not
  // finite.
  void look(const Stage& stage, const Flight& base, const ObserveInput& observe, Flight* next = nullptr);

  // Takes the flight behind the stage, which is not the last one. Throws InputError naming the sample, and
  // the unit if it is one's fault, where what the segment gives is not finite.
  void advance(const Stage& stage, Flight& base);

  // Takes a flight that stands in front of the first stage to the last one, and keeps the shapes on the way.
  void to_last(Flight& flight);

  // The most that lay inside a segment that was looked at.
  [[nodiscard]] std::uint64_t most_inside_bytes() const noexcept { return most_inside_bytes_; }

 private:
  const Program& program_;
  Replay& replay_;
  std::uint64_t most_inside_bytes_ = 0;
};

}  // namespace qvl
