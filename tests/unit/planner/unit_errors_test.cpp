#include "planner/unit_errors.h"

#include <gtest/gtest.h>

#include "qvl/error.h"

namespace qvl {
namespace {

UnitResult unit(std::int64_t parameters, const std::vector<std::string>& formats) {
  UnitResult unit;
  unit.name = "unit";
  unit.parameters = parameters;
  for (const std::string& format : formats) {
    unit.formats.emplace_back();
    unit.formats.back().format = format;
  }
  return unit;
}

TEST(UnitErrors, AreWhatTheUnitAloneCosts) {
  SensitivityReport report;
  report.has_logits = true;
  report.units = {unit(10, {"int8"})};
  EXPECT_THROW((void)unit_errors(report), InputError);  // only `out` was measured
  report.units.front().formats.front().in = OutputError{};
  report.units.front().formats.front().in->mse = 7;
  report.units.front().formats.front().in->kl = -1e-18;  // rounding
  EXPECT_EQ(error_name(report), "kl");
  EXPECT_EQ(unit_errors(report)[0][0], 0);
  report.has_logits = false;
  EXPECT_EQ(error_name(report), "mse");
  EXPECT_EQ(unit_errors(report)[0][0], 7);
}

TEST(UnitErrors, ScoresOfWeightsAreOfTheFormat) {
  SensitivityReport report;
  report.criterion = Criterion::weight_mse;
  report.units = {unit(10, {"int8", "int4:32", "int8-dynamic"})};
  report.units.front().formats[0].score = 1;
  report.units.front().formats[1].score = 30;
  report.units.front().formats[2].score = 1;
  EXPECT_EQ(error_name(report), "weight-mse");
  EXPECT_EQ(unit_errors(report)[0], (std::vector<double>{10, 300, 20}));
}

TEST(UnitErrors, ScoresThatKnowNoFormatTakeItsNoiseOverTheWholeModel) {
  SensitivityReport report;
  report.criterion = Criterion::random;
  report.units = {unit(10, {"int8", "int4:32"}), unit(30, {"int8", "int4:32"})};
  for (UnitResult& u : report.units) {
    u.formats[0].weight_mse = 1e-6;
    u.formats[1].weight_mse = u.parameters == 10 ? 1e-4 : 5e-4;
    for (FormatResult& f : u.formats) f.score = u.parameters == 10 ? 0.5 : 0.25;
  }
  // int4:32 over all 40 weights: (10 x 1e-4 + 30 x 5e-4) / (40 x 1e-6)
  const auto errors = unit_errors(report);
  EXPECT_NEAR(errors[0][0], 5, 1e-9);
  EXPECT_NEAR(errors[0][1], 5 * 400, 1e-6);
  EXPECT_NEAR(errors[1][0], 7.5, 1e-9);
  EXPECT_NEAR(errors[1][1], 7.5 * 400, 1e-6);
}

}  // namespace
}  // namespace qvl
