// What a sensitivity run takes, from a part of its units.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "qvl/sensitivity.h"

namespace qvl {

struct SensitivityBenchOptions {
  SensitivityOptions run;  // `report`: where hidden folders are made and removed again; `shard` is set here
  int every = 5;           // every n-th unit is measured, the rest projected
};

struct SensitivityBenchRow {
  std::string format;
  std::int64_t units = 0;     // of the model
  std::int64_t measured = 0;  // units
  double seconds = 0;         // all stages as they were
  double fixed_seconds = 0;   // of stages that do not grow with the units
  double seconds_per_unit = 0;
  double projected_seconds = 0;  // for all units
  std::int64_t passes = 0;       // runs of the whole model for one sample, of those units
  std::uint64_t peak_bytes = 0;  // the most that was resident since the program's start
};

// A run for each format by itself. Throws as measure_sensitivity does, UsageError for `every` below 1.
[[nodiscard]] std::vector<SensitivityBenchRow> bench_sensitivity(const SensitivityBenchOptions& options);

}  // namespace qvl
