#include "sensitivity/report/report_ranking.h"

#include <gtest/gtest.h>

#include <cmath>

namespace qvl {
namespace {

UnitResult unit(std::string name, std::optional<double> in_kl, double in_mse, double out_kl) {
  UnitResult u;
  u.name = std::move(name);
  FormatResult result;
  result.format = "int8";
  result.in.emplace().mse = in_mse;
  result.in->kl = in_kl;
  result.out.emplace().kl = out_kl;
  result.score = 10 * in_mse;
  FormatResult other;
  other.format = "int4:32";
  u.formats = {other, result};
  return u;
}

std::string order(const SensitivityReport& report, const char* format = "int8",
                  RankingDirection direction = RankingDirection::in) {
  std::string names;
  for (const RankedUnit& ranked : rank_units(report, format, direction)) names += ranked.unit->name;
  return names;
}

SensitivityReport report_of_four() {
  SensitivityReport report;
  report.units = {unit("a", 0.1, 4, 0.5), unit("b", 0.3, 3, 0.2), unit("c", 0.1, 2, 0.9),
                  unit("d", 0.2, 1, 0.4)};
  return report;
}

TEST(ReportRanking, LargestErrorFirstAndEqualOnesInTheModelsOrder) {
  SensitivityReport report = report_of_four();
  EXPECT_EQ(order(report), "bdac");
  report.criterion = Criterion::mse;
  EXPECT_EQ(order(report), "abcd");
}

TEST(ReportRanking, OfAllButOneTheSmallestFirst) {
  EXPECT_EQ(order(report_of_four(), "int8", RankingDirection::out), "bdac");
}

TEST(ReportRanking, BaselinesGoByTheirScoreInEitherDirection) {
  SensitivityReport report = report_of_four();
  report.criterion = Criterion::weight_mse;
  EXPECT_EQ(order(report), "abcd");
  EXPECT_EQ(order(report, "int8", RankingDirection::out), "abcd");
  EXPECT_EQ(rank_units(report, "int8", RankingDirection::in)[0].value, 40);
}

TEST(ReportRanking, LeavesOutUnitsWithoutAValue) {
  SensitivityReport report = report_of_four();
  report.units[0].formats[1].in.reset();
  report.units[3].formats[1].in->kl = std::nan("");
  EXPECT_EQ(order(report), "bc");
  EXPECT_EQ(order(report, "int4:32"), "");
  EXPECT_EQ(order(report, "int3"), "");
  report.units[1].formats[1].in->kl.reset();  // then its MSE is taken
  EXPECT_EQ(rank_units(report, "int8", RankingDirection::in)[0].value, 3);
}

}  // namespace
}  // namespace qvl
