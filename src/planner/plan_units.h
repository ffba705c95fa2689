// The units of a model as a plan sees them: what has to be in one format, and what each takes in a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "planner/stored_size.h"
#include "replay/program.h"

namespace qvl {

struct PlanUnit {
  std::size_t unit = 0;  // of the program
  std::size_t row = 0;   // of the report
  StoredWeight weight;
  StoredSize size;
  std::vector<Format> formats;  // of size.quantized_bytes

  // By which the file grows because of the unit, kept or in one of the formats. Throws UsageError for another
  // one.
  [[nodiscard]] std::uint64_t bytes(const std::optional<Format>& format) const;
  // Weights whose bytes those are when the unit is kept: none of a shared one.
  [[nodiscard]] std::uint64_t parameters() const;
};

// Units that get one format: those that take the same value (queries, keys and values; gate and up), and
// those that have the same weight, behind other nodes or in another initializer of the same bytes, too. Found
// from the graph, each part by itself.
using UnitGroup = std::vector<PlanUnit>;

// In the order of their first units. `selected` by unit, `row_of` from unit to row of the report; `formats`
// that the units may be in, at least one.
[[nodiscard]] std::vector<UnitGroup> group_units(const Program& program, const std::vector<bool>& selected,
                                                 const std::vector<std::size_t>& row_of,
                                                 std::span<const Format> formats);

}  // namespace qvl
