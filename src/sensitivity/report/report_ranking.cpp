#include "sensitivity/report/report_ranking.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace qvl {
namespace {

std::optional<double> value_of(const FormatResult& result, Criterion criterion, RankingDirection direction) {
  if (criterion != Criterion::kl && criterion != Criterion::mse) return result.score;
  const std::optional<OutputError>& error = direction == RankingDirection::in ? result.in : result.out;
  if (!error) return std::nullopt;
  if (criterion == Criterion::kl && error->kl) return error->kl;
  return error->mse;
}

}  // namespace

std::vector<RankedUnit> rank_units(const SensitivityReport& report, std::string_view format,
                                   RankingDirection direction) {
  std::vector<RankedUnit> ranked;
  for (const UnitResult& unit : report.units) {
    for (const FormatResult& result : unit.formats) {
      if (result.format != format) continue;
      const std::optional<double> value = value_of(result, report.criterion, direction);
      if (value && std::isfinite(*value)) ranked.push_back({&unit, &result, *value});
      break;
    }
  }
  const bool by_score = report.criterion != Criterion::kl && report.criterion != Criterion::mse;
  const bool smallest_first = direction == RankingDirection::out && !by_score;
  std::ranges::stable_sort(ranked, [&](const RankedUnit& a, const RankedUnit& b) {
    return smallest_first ? a.value < b.value : a.value > b.value;
  });
  return ranked;
}

}  // namespace qvl
