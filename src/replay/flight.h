// A model with one assignment of formats on its way through the segments, for some samples.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "replay/program.h"
#include "replay/values.h"

namespace qvl {

struct Flight {
  Assignment assignment;
  std::vector<std::size_t> samples;
  // What is alive in front of the next segment, by item of its part: those items that the samples need.
  std::unordered_map<std::size_t, Values> states;
};

[[nodiscard]] inline std::uint64_t total_bytes(const Flight& flight) {
  std::uint64_t bytes = 0;
  for (const auto& [item, state] : flight.states) bytes += total_bytes(state);
  return bytes;
}

// The items of a part that the samples need, ascending, each once.
[[nodiscard]] std::vector<std::size_t> items_of(const Program& program, std::size_t part,
                                                std::span<const std::size_t> samples);

// Where a flight is: in front of a segment of a part.
struct Stage {
  std::size_t part = 0;
  std::size_t segment = 0;

  [[nodiscard]] bool is_last(const Program& program) const {
    return part + 1 == program.parts.size() && is_last_of_part(program);
  }
  [[nodiscard]] bool is_last_of_part(const Program& program) const {
    return segment + 1 == program.parts[part]->cut.segments.size();
  }
  [[nodiscard]] const Segment& of(const Program& program) const {
    return program.parts[part]->cut.segments[segment];
  }
  // Behind the last one: part is the number of parts.
  [[nodiscard]] Stage next(const Program& program) const {
    return is_last_of_part(program) ? Stage{part + 1, 0} : Stage{part, segment + 1};
  }
  [[nodiscard]] bool is_end(const Program& program) const { return part == program.parts.size(); }
  friend auto operator<=>(const Stage&, const Stage&) = default;
};

}  // namespace qvl
