// What is measured to the output, in rounds: what the first numbers say decides what else is measured.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "qvl/sensitivity.h"
#include "sensitivity/estimate.h"
#include "sensitivity/measurement_store.h"
#include "sensitivity/run_settings.h"

namespace qvl {

// By unit of the report and format of the settings.
using CandidateSet = std::vector<std::vector<bool>>;

// exact: everything, in one round. fast: the units that the estimate is checked with.
//
// Method::automatic, for each format and direction by itself:
// - first the units with the largest estimates (the quarter, and whatever is at least half of the least of
//   these), those of which nothing is known, and the units that the estimate is checked with;
// - then, as long as a unit that was not measured may belong to the most sensitive ones (ranking_top), more
//   of them. It may when its estimate, or its estimate times the largest factor by which the estimates of the
//   8 measured units next to it (by estimate) were too small, is above the last of these;
// - as long as such a round changes which units are the most sensitive, another one follows.
struct ExactChoice {
  CandidateSet wanted;        // all that is to be measured, as far as it is known
  CandidateSet complete;      // of that, the rounds whose numbers are all there, at least the first
  std::vector<bool> settled;  // by format: nothing else is wanted

  [[nodiscard]] bool all_settled() const;
};

// Depends on the estimates and on the numbers that it asked for, on nothing else that the store holds.
[[nodiscard]] ExactChoice choose_exact(const RunSettings& settings, const SensitivityReport& skeleton,
                                       const std::vector<std::vector<UnitEstimate>>& estimates,
                                       const MeasurementStore& store);

// How many units at the head of the ranking are to be right: 5, or a twentieth of all.
[[nodiscard]] std::size_t ranking_top(std::size_t units);

// Rows of the units that the estimate is checked with, ascending: drawn by the hash of their names, so that
// it is chance, and always the same. automatic: a tenth, at least 8. fast: as many, but no more than a
// quarter, and no more than cost as many runs of segments as the errors in the blocks do; none where that
// leaves less than 4. exact: none.
[[nodiscard]] std::vector<std::size_t> check_units(const RunSettings& settings,
                                                   const SensitivityReport& skeleton);

// How sensitive an error says that a unit is, in natural logarithms: by KL (MSE where there is none) as the
// criterion wants; of all but this unit quantized, the smaller the error the more.
[[nodiscard]] double log_sensitivity(double mse, std::optional<double> kl, Criterion criterion, bool out);

// By format and direction: what the units of check_units say of the estimate, and how much of the top it
// found. `complete` as of choose_exact; the numbers must be in the store.
[[nodiscard]] std::vector<EstimateTrust> estimate_trust(
    const RunSettings& settings, const SensitivityReport& skeleton,
    const std::vector<std::vector<UnitEstimate>>& estimates, const ExactChoice& choice,
    const MeasurementStore& store);

// Half of the width of the interval of one standard error around a rank correlation of so many pairs, by
// Fisher's transform with the variance of Bonett and Wright (2000). At most 1; a correlation of 1 counts as
// one of 1 - 1/pairs, since so few pairs prove no more.
[[nodiscard]] double spearman_error(double spearman, std::size_t pairs);

}  // namespace qvl
