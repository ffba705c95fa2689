// The fast method: errors at the end of a unit's block, times how much of such an error reaches the output.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "qvl/sensitivity.h"
#include "sensitivity/measurement_store.h"
#include "sensitivity/run_settings.h"

namespace qvl {

// Which candidates are replayed to the output to learn the gains: (unit, first so many samples), all in one
// format, each quantized alone. The format is the coarsest for weights. Replays may take as many runs of
// segments as finding the errors in the blocks takes: where that is enough, every unit is replayed on as many
// samples as can be, else units spread evenly over the model on one.
struct GainReplays {
  std::string format;
  std::vector<std::pair<std::size_t, std::size_t>> units;  // index into the report's units, samples
};
[[nodiscard]] GainReplays plan_gain_replays(const SensitivityReport& skeleton, const RunSettings& settings);

// A unit's estimates by unit of the report and format of the settings; none where measurements are missing.
// The gain of a unit is that of its own replay; where it has none, it is interpolated (geometrically) between
// the replayed units before and behind it in the same part. `out` is what the whole model's error in that
// format would lose: error of all x (1 - share of the unit among the estimates of all).
struct UnitEstimate {
  std::optional<Estimate> in;
  std::optional<Estimate> out;
};
[[nodiscard]] std::vector<std::vector<UnitEstimate>> estimate_units(const SensitivityReport& skeleton,
                                                                    const RunSettings& settings,
                                                                    const MeasurementStore& store);

// By unit and format, what the method measures to the output: all (exact), none (fast), or for
// Method::automatic the quarter with the largest estimates and those whose estimate is at least half of the
// least of these.
[[nodiscard]] std::vector<std::vector<bool>> exact_candidates(
    const RunSettings& settings, const SensitivityReport& skeleton,
    const std::vector<std::vector<UnitEstimate>>& estimates);

// Spearman's rank correlation, ties sharing their mean rank; 0 where one side is constant.
[[nodiscard]] double spearman(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace qvl
