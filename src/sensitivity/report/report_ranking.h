// The order of the units that a report is for: the most sensitive first.
#pragma once

#include <string_view>
#include <vector>

#include "qvl/sensitivity.h"

namespace qvl {

enum class RankingDirection { in, out };

// Points into the report, which must outlive it.
struct RankedUnit {
  const UnitResult* unit = nullptr;
  const FormatResult* result = nullptr;
  double value = 0;  // what it is ranked by
};

// The units that have a value for the report's criterion: KL or MSE of the direction (MSE where a unit has no
// KL), else the score. In the direction `in` the largest error comes first. In the direction `out`, where all
// but this unit are quantized, the smallest does: what remains when this unit is spared. Units of equal value
// keep the model's order.
[[nodiscard]] std::vector<RankedUnit> rank_units(const SensitivityReport& report, std::string_view format,
                                                 RankingDirection direction);

}  // namespace qvl
