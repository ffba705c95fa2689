// The units of a model as a plan sees them: what has to be in one format, and what each takes in a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "planner/stored_size.h"
#include "sensitivity/program.h"

namespace qvl {

struct PlanUnit {
  std::size_t unit = 0;  // of the program
  std::size_t row = 0;   // of the report
  StoredWeight weight;
  // Something else takes the weight, too (the embedding of a tied lm_head): it stays in the file, and what
  // the unit adds is nothing when it is kept, and its whole quantized form else.
  bool shared = false;
  // A unit before it in the group has the same weight, which is stored once.
  bool repeated = false;

  // By which the file grows because of the unit.
  [[nodiscard]] std::uint64_t bytes(const std::optional<Format>& format) const;
  // Weights whose bytes those are when the unit is kept: none of a shared one.
  [[nodiscard]] std::uint64_t parameters() const;
};

// Units that get one format: those that take the same value (queries, keys and values; gate and up), and
// those that have the same weight. Found from the graph, each part by itself.
using UnitGroup = std::vector<PlanUnit>;

// In the order of their first units. `selected` by unit, `row_of` from unit to row of the report.
[[nodiscard]] std::vector<UnitGroup> group_units(const Program& program, const std::vector<bool>& selected,
                                                 const std::vector<std::size_t>& row_of);

}  // namespace qvl
