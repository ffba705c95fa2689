// report.json, read back.
#include "sensitivity/report/report_reader.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/json_text.h"
#include "qvl/error.h"
#include "sensitivity/report/report_files.h"
#include "support/fake_report.h"
#include "support/test_data.h"

namespace qvl {
namespace {

std::string message_of(const std::string& text) {
  try {
    (void)parse_report(text, "r.json");
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

SensitivityReport planned_report() {
  SensitivityReport report = test::fake_tiny_report();
  report.front = test::fake_front(report, 4);
  return report;
}

TEST(ReportReader, WrittenAgainAReportIsTheSameText) {
  for (const SensitivityReport& report : {test::fake_tiny_report(), test::fake_3b_report(), planned_report(),
                                          test::fake_plain_report(), SensitivityReport()}) {
    const std::string text = report_json(report);
    EXPECT_EQ(report_json(parse_report(text, "r")), text);
  }
}

TEST(ReportReader, GivesBackWhatWasWritten) {
  SensitivityReport report = test::fake_tiny_report();
  report.settings = {{"z", "1"}, {"a", "2"}, {"m", "3"}};
  report.whole[1].answers_lost = 3;
  report.criterion = Criterion::nncf_mean_variance;
  report.units[0].formats[1].score = 0.25;
  report.units[0].formats[1].method = "";
  const SensitivityReport back = parse_report(report_json(report), "r");
  EXPECT_EQ(back.settings, report.settings);
  EXPECT_EQ(back.whole[0].answers_lost, std::nullopt);
  EXPECT_EQ(back.whole[1].answers_lost, 3);
  ASSERT_EQ(back.trust.size(), 4U);
  EXPECT_EQ(back.trust[1].direction, "out");
  EXPECT_EQ(back.trust[1].spearman, 0.9375);
  EXPECT_EQ(back.trust[1].top_found, 4);
  EXPECT_TRUE(back.trust[1].settled);
  EXPECT_EQ(back.criterion, Criterion::nncf_mean_variance);
  EXPECT_EQ(back.samples, 64);
  EXPECT_EQ(back.positions, 1893);
  EXPECT_TRUE(back.has_logits);
  ASSERT_EQ(back.units.size(), report.units.size());
  const UnitResult& unit = back.units[0];
  EXPECT_EQ(unit.depth, 1176);
  EXPECT_EQ(unit.rows, 16);
  EXPECT_EQ(unit.kind, "patch_embed/proj");
  ASSERT_EQ(unit.formats.size(), 2U);
  EXPECT_EQ(unit.formats[0].format, "int8");
  EXPECT_EQ(unit.formats[0].method, report.units[0].formats[0].method);
  EXPECT_EQ(unit.formats[1].format, "int4:32");
  EXPECT_EQ(unit.formats[1].method, "");
  EXPECT_EQ(unit.formats[1].score, 0.25);
  EXPECT_EQ(unit.formats[1].fast_in->kl, report.units[0].formats[1].fast_in->kl);
  ASSERT_EQ(back.whole.size(), 2U);
  EXPECT_EQ(back.whole[1].format, "int4:32");
  EXPECT_EQ(back.whole[1].all->exact, report.whole[1].all->exact);
  ASSERT_EQ(back.correlations.size(), report.correlations.size());
  EXPECT_EQ(back.correlations[3].direction, "out");
  EXPECT_EQ(back.correlations[3].measure, "mse");
  EXPECT_EQ(back.correlations[3].units, report.correlations[3].units);
}

TEST(ReportReader, GivesBackTheCurveAndThePlans) {
  const SensitivityReport report = planned_report();
  const SensitivityReport back = parse_report(report_json(report), "r");
  ASSERT_TRUE(back.front);
  EXPECT_EQ(back.front->unquantized_bytes, report.front->unquantized_bytes);
  ASSERT_EQ(back.front->points.size(), report.front->points.size());
  for (std::size_t i = 0; i < back.front->points.size(); ++i) {
    EXPECT_EQ(back.front->points[i].bytes, report.front->points[i].bytes);
    EXPECT_EQ(back.front->points[i].bits, report.front->points[i].bits);
    EXPECT_EQ(back.front->points[i].error, report.front->points[i].error);
  }
  ASSERT_EQ(back.front->marks.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) {
    const PlanMark& mark = report.front->marks[i];
    EXPECT_EQ(back.front->marks[i].name, mark.name);
    EXPECT_EQ(back.front->marks[i].point.bytes, mark.point.bytes);
    EXPECT_EQ(back.front->marks[i].point.bits, mark.point.bits);
    EXPECT_EQ(back.front->marks[i].point.error, mark.point.error);
    EXPECT_EQ(back.front->marks[i].measured, mark.measured);
  }
}

TEST(ReportReader, ACurveThatIsNullIsNone) {
  Json json = Json::parse(report_json(test::fake_tiny_report()));
  EXPECT_FALSE(parse_report(json.dump(), "r").front);
  json["front"] = nullptr;
  EXPECT_FALSE(parse_report(json.dump(), "r").front);
}

TEST(ReportReader, NumbersOfPointsThatAreNullHaveNoPlaceInTheirOrder) {
  SensitivityReport report = planned_report();
  report.front->points[2].error = std::nan("");
  report.front->points[2].bits = std::nan("");
  report.front->marks[0].point.error = std::numeric_limits<double>::infinity();
  const std::string text = report_json(report);
  const SensitivityReport back = parse_report(text, "r");
  EXPECT_TRUE(std::isnan(back.front->points[2].error));
  EXPECT_TRUE(std::isnan(back.front->points[2].bits));
  EXPECT_TRUE(std::isnan(back.front->marks[0].point.error));
  EXPECT_EQ(report_json(back), text);
}

TEST(ReportReader, FormatsOfAUnitInAnyOrderAreOneText) {
  SensitivityReport report = test::fake_tiny_report();
  std::swap(report.units[4].formats[0], report.units[4].formats[1]);
  EXPECT_EQ(report_json(report), report_json(test::fake_tiny_report()));
}

TEST(ReportReader, NullIsTheNumberThatJsonCannotHold) {
  SensitivityReport report = test::fake_tiny_report();
  FormatResult& exact = report.units[0].formats[0];
  exact.local->relative_error = 0;
  exact.local->sqnr_db = std::numeric_limits<double>::infinity();
  report.units[1].formats[0].local->sqnr_db = std::nan("");
  report.units[1].formats[0].in->mse = std::numeric_limits<double>::infinity();
  report.units[1].formats[0].in->top1 = -0.0;
  const std::string text = report_json(report);
  const SensitivityReport back = parse_report(text, "r");
  EXPECT_EQ(back.units[0].formats[0].local->sqnr_db, std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(back.units[1].formats[0].local->sqnr_db));
  EXPECT_TRUE(std::isnan(back.units[1].formats[0].in->mse));
  EXPECT_EQ(report_json(back), text);
}

TEST(ReportReader, TakesAFileOrItsFolder) {
  const test::TemporaryFolder folder;
  EXPECT_THROW((void)read_report(folder.path()), InputError);
  test::write_file(folder.path() / "report.json", report_json(test::fake_tiny_report()));
  EXPECT_EQ(read_report(folder.path()).model, "tiny");
  EXPECT_EQ(read_report(folder.path() / "report.json").model, "tiny");
}

TEST(ReportReader, NamesTheFieldThatIsWrong) {
  struct Case {
    std::string path;
    Json value;
    std::string field;  // in the message
  };
  const std::string int8 = "/units/2/formats/int8";
  const std::string place = "units[2].formats[\"int8\"]";
  const Json good = Json::parse(report_json(planned_report()));
  for (const Case& c :
       std::vector<Case>{{"/model", 3, "model is 3; a string"},
                         {"/samples", -1, "samples is -1; a whole number"},
                         {"/samples", 1.5, "samples is 1.5"},
                         {"/positions", 9007199254740993U, "positions is"},
                         {"/settings", nullptr, "settings is null; an object"},
                         {"/settings/calibrate", 3, "settings.\"calibrate\" is 3; a string"},
                         {"/criterion", "best", "criterion is \"best\"; kl, mse,"},
                         {"/has_logits", 1, "has_logits is 1; true or false"},
                         {"/exact_unquantized", "1", "exact_unquantized is \"1\""},
                         {"/formats", Json::object(), "formats is an object; a list"},
                         {"/formats/1", "int8", "formats[1] is \"int8\"; each format once"},
                         {"/formats/1", 8, "formats[1] is 8; a string"},
                         {"/formats", {"int8"}, "\"int4:32\" is an object; a format of the list"},
                         {"/units", Json::object(), "units is an object; a list"},
                         {"/units/2", 3, "units[2] is 3; an object"},
                         {"/units/2/name", nullptr, "units[2].name is null"},
                         {"/units/2/shape", {1}, "units[2].shape is a list of 1; a list of 2"},
                         {"/units/2/shape/1", -5, "units[2].shape[1] is -5"},
                         {"/units/2/parameters", 1e30, "units[2].parameters is"},
                         {int8, nullptr, "units[2].formats.\"int8\" is null; an object"},
                         {int8, {1}, place + " is a list of 1; an object"},
                         {int8 + "/method", "best", place + ".method is \"best\""},
                         {int8 + "/weight_mse", "x", place + ".weight_mse is \"x\""},
                         {int8 + "/in/kl", true, place + ".in.kl is true; a number or null"},
                         {int8 + "/local", 3, place + ".local is 3; an object"},
                         {int8 + "/fast_out/mse", "x", place + ".fast_out.mse is"},
                         {"/whole/int8", 3, "whole[\"int8\"] is 3"},
                         {"/whole", Json::array(), "whole is a list of 0; an object"},
                         {"/correlation/int8", 3, "correlation[\"int8\"] is 3"},
                         {"/correlation/int8/in/kl/units", 0.5, ".in.kl.units is 0.5"},
                         {"/front", Json::array(), "front is a list of 0; an object"},
                         {"/front/unquantized_bytes", -1, "front.unquantized_bytes is -1; a whole number"},
                         {"/front/points", 3, "front.points is 3; a list"},
                         {"/front/points/2", 3, "front.points[2] is 3; an object"},
                         {"/front/points/2/bytes", 0.5, "front.points[2].bytes is 0.5; a whole number"},
                         {"/front/points/2/bytes", 9007199254740993U, "front.points[2].bytes is"},
                         {"/front/points/2/bytes", 1, "front.points[2].bytes is 1; not less than at the"},
                         {"/front/points/2/error", 1e9, "front.points[2].error is 1000000000.0; not more"},
                         {"/front/points/2/bits", "x", "front.points[2].bits is \"x\"; a number or null"},
                         {"/front/marks", nullptr, "front.marks is null; a list"},
                         {"/front/marks/1/name", 5, "front.marks[1].name is 5; a string"},
                         {"/front/marks/1/bytes", nullptr, "front.marks[1].bytes is null"},
                         {"/front/marks/1/predicted", "x", "front.marks[1].predicted is \"x\""},
                         {"/front/marks/1/measured", true, "front.marks[1].measured is true"}}) {
    Json json = good;
    json[Json::json_pointer(c.path)] = c.value;
    const std::string message = message_of(json.dump());
    EXPECT_TRUE(message.starts_with("r.json: ")) << c.path << ": " << message;
    EXPECT_NE(message.find(c.field), std::string::npos) << c.path << ": " << message;
  }
}

TEST(ReportReader, NamesTheFieldThatIsMissing) {
  const Json good = Json::parse(report_json(test::fake_tiny_report()));
  for (const char* key : {"model", "data_sha256", "settings", "formats", "units", "whole", "correlation"}) {
    Json json = good;
    json.erase(key);
    EXPECT_EQ(message_of(json.dump()), std::string("r.json: ") + key + " is missing");
  }
  Json json = good;
  json["units"][1]["formats"]["int8"]["in"].erase("mse");
  EXPECT_EQ(message_of(json.dump()), "r.json: units[1].formats[\"int8\"].in.mse is missing");
  json = Json::parse(report_json(planned_report()));
  json["front"]["points"][1].erase("error");
  EXPECT_EQ(message_of(json.dump()), "r.json: front.points[1].error is missing");
  json["front"].erase("points");
  EXPECT_EQ(message_of(json.dump()), "r.json: front.points is missing");
  EXPECT_NE(message_of("[]").find("the top level is a list of 0; an object"), std::string::npos);
  EXPECT_NE(message_of("{").find("not valid JSON"), std::string::npos);
}

}  // namespace
}  // namespace qvl
