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

// Which candidates are replayed to the output, and on which samples. Errors of the output come from few
// samples: those whose answer hangs on little. They are known from the runs with the whole model quantized;
// `carriers` are the fewest samples that make up 75 % of such a run's error, the largest first.
//
// direct: every candidate is replayed on its format's carriers, or on as many of them as can be paid for.
// Otherwise (large models) units spread evenly over the model are replayed in one format, the coarsest for
// weights, on its first carrier, to learn how much of an error at the end of a block reaches the output.
//
// What is paid: a direct plan may take three times the runs of segments that finding the errors in the blocks
// takes, the other one as many.
struct ReplayPlan {
  bool direct = false;
  std::vector<std::vector<std::size_t>> carriers;  // by format of the settings: samples
  std::string gain_format;
  std::vector<std::size_t> gain_units;  // rows of the report, ascending

  [[nodiscard]] bool wants(std::size_t row, std::size_t format, const std::string& format_name,
                           std::size_t sample, bool out) const;
};
// Throws InputError when the errors of the whole model are not in the store.
[[nodiscard]] ReplayPlan plan_replays(const SensitivityReport& skeleton, const RunSettings& settings,
                                      const MeasurementStore& store);

// A unit's estimates by unit of the report and format of the settings; none where measurements are missing.
// Of a direct plan: the sum over the carriers, divided by the share of the whole model's error that they make
// up. Otherwise: the error at the end of the unit's block times a gain, that of its own replay or
// interpolated (geometrically) between the replayed units before and behind it in the same part; and `out` is
// the whole model's error x (1 - share of the unit among the estimates of all).
struct UnitEstimate {
  std::optional<Estimate> in;
  std::optional<Estimate> out;
};
[[nodiscard]] std::vector<std::vector<UnitEstimate>> estimate_units(const SensitivityReport& skeleton,
                                                                    const RunSettings& settings,
                                                                    const MeasurementStore& store);

// Spearman's rank correlation, ties sharing their mean rank; 0 where one side is constant.
[[nodiscard]] double spearman(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace qvl
