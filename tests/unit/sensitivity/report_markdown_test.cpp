#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "sensitivity/report/report_files.h"
#include "sensitivity/report/report_ranking.h"
#include "support/fake_report.h"

namespace qvl {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// The lines below a heading, up to the next.
std::vector<std::string> section(const std::string& text, const std::string& heading) {
  std::vector<std::string> found;
  bool inside = false;
  for (const std::string& line : lines_of(text)) {
    if (line.starts_with('#')) inside = line == heading;
    if (inside) found.push_back(line);
  }
  return found;
}

TEST(ReportMarkdown, RanksTheTwentyMostSensitive) {
  const SensitivityReport report = test::fake_3b_report();
  const std::string text = report_markdown(report);
  const auto lines = section(text, "## Most sensitive: `int4:32`, only this unit quantized");
  ASSERT_EQ(lines.size(), 7U + 20U);
  const auto ranked = rank_units(report, "int4:32", RankingDirection::in);
  EXPECT_TRUE(lines[6].starts_with("| 1 | `" + ranked[0].unit->name + "` |")) << lines[6];
  EXPECT_TRUE(lines[25].starts_with("| 20 | `" + ranked[19].unit->name + "` |")) << lines[25];
  EXPECT_EQ(section(text, "## Most sensitive: `int8`, all but this unit quantized").size(), 27U);
}

TEST(ReportMarkdown, TellsWholeModelCorrelationAndProvenance) {
  const std::string text = report_markdown(test::fake_tiny_report());
  EXPECT_EQ(section(text, "## The whole model quantized").size(), 7U);
  EXPECT_EQ(section(text, "## Fast against exact").size(), 13U);
  EXPECT_NE(text.find("| model | `tiny`, SHA-256 `6f1ed0"), std::string::npos);
  EXPECT_NE(text.find("| samples | 64 |"), std::string::npos);
  EXPECT_NE(text.find("| exact answers, unquantized | 92.19% |"), std::string::npos);
  EXPECT_NE(text.find("| `calibrate` | `minmax` |"), std::string::npos);
}

TEST(ReportMarkdown, SaysHowEachFormatDidAndWhatToDoNext) {
  SensitivityReport report = test::fake_tiny_report();
  report.whole[0].all->exact = 59.0 / 64;
  report.whole[0].all->kl = 2.04e-4;
  report.whole[1].all->exact = 50.0 / 64;
  const std::string text = report_markdown(report);
  const auto whole = section(text, "## The whole model quantized");
  EXPECT_TRUE(whole[4].starts_with("| `int8` | no answer lost, KL 2e-4 | 0.000204 ±")) << whole[4];
  EXPECT_TRUE(whole[5].starts_with("| `int4:32` | 9 of 59 right answers lost, KL 0.94 |")) << whole[5];
  EXPECT_NE(text.find("## What next\n\nIn the folder of this report:\n\n```sh\n"
                      "# all units in int8: no answer lost, KL 2e-4\n"
                      "qvl quantize . --format int8 --out quantized-int8\n"
                      "# the smallest mixture with no more KL than int8\n"
                      "qvl plan . --budget kl=2.1e-4 --out plan.json\n"
                      "# and write it\n"
                      "qvl quantize . --plan plan.json --out quantized-plan\n```\n"),
            std::string::npos);
  EXPECT_NE(
      text.find("- `int8`, only this unit: the estimate ranks this model well (Spearman 0.94 ± 0.06 on 12 "
                "units drawn by chance; 4 of the 5 most sensitive units are among its first 5); "),
      std::string::npos);
}

TEST(ReportMarkdown, WithoutLogitsThereAreNoWordsOfThem) {
  SensitivityReport report = test::fake_plain_report();
  report.whole[0].all->mse = 0.01;
  const std::string text = report_markdown(report);
  for (const char* word : {"KL", "kl", "top-1", "token", "answer"})
    EXPECT_EQ(text.find(word), std::string::npos) << word;
  EXPECT_EQ(section(text, "## The whole model quantized")[4],
            "| `int8` | MSE 0.010, 2.0% of the output | 0.01 |");
}

TEST(ReportMarkdown, TellsThePlansAndTheEndsOfTheCurve) {
  SensitivityReport report;
  report.has_logits = true;
  EXPECT_TRUE(section(report_markdown(report), "## Error against size").empty());
  PlanFront& front = report.front.emplace();
  front.unquantized_bytes = 4000;
  front.points = {{1000, 4.5, 0.5}, {1500, 6.75, 0.125}, {2000, 9, 0}};
  front.marks = {{"bits=7", {1500, 6.75, 0.125}, 0.25}, {"a|b", {1000, 4.5, 0.5}, std::nullopt}};
  using Lines = std::vector<std::string>;
  EXPECT_EQ(
      section(report_markdown(report), "## Error against size"),
      (Lines{"## Error against size", "", "| plan | bytes | bits a weight | KL, predicted | KL, measured |",
             "|---|--:|--:|--:|--:|", "| `bits=7` | 1500 | 6.75 | 0.125 | 0.25 |",
             "| `a\\|b` | 1000 | 4.5 | 0.5 |  |", "| the smallest there is | 1000 | 4.5 | 0.5 |  |",
             "| the best there is | 2000 | 9 | 0 |  |", "| unquantized | 4000 | 18 |  |  |"}));

  report.has_logits = false;
  front = {};
  EXPECT_EQ(
      section(report_markdown(report), "## Error against size"),
      (Lines{"## Error against size", "", "| plan | bytes | bits a weight | MSE, predicted | MSE, measured |",
             "|---|--:|--:|--:|--:|", "| unquantized | 0 |  |  |  |"}));
}

TEST(ReportMarkdown, NamesDoNotBreakTables) {
  SensitivityReport report = test::fake_tiny_report();
  report.units.resize(1);
  report.units[0].name = "a|b`c\nd";
  const std::string text = report_markdown(report);
  EXPECT_NE(text.find("| 1 | `a\\|b'c d` |"), std::string::npos);
}

TEST(ReportMarkdown, ShowsNoNumberThatIsNotFinite) {
  SensitivityReport report = test::fake_tiny_report();
  for (UnitResult& unit : report.units) {
    unit.formats[0].local->sqnr_db = INFINITY;
    unit.formats[0].in->mse = std::nan("");
    unit.formats[0].out.reset();
  }
  report.whole[0].all.reset();
  report.correlations[0].spearman = std::nan("");
  report.front = PlanFront{0, {{0, 0, INFINITY}, {0, INFINITY, std::nan("")}}, {}};
  const std::string text = report_markdown(report);
  EXPECT_EQ(text.find("nan"), std::string::npos);
  EXPECT_EQ(text.find("inf"), std::string::npos);
}

TEST(ReportMarkdown, BaselinesAreRankedByScore) {
  SensitivityReport report = test::fake_plain_report();
  report.criterion = Criterion::random;
  for (UnitResult& unit : report.units) unit.formats[0].score = 7.5;
  const auto lines = section(report_markdown(report), "## Most sensitive: `int8`, by random");
  ASSERT_GT(lines.size(), 6U);
  EXPECT_NE(lines[6].find("| 7.5 |"), std::string::npos) << lines[6];
}

TEST(ReportMarkdown, OfAnEmptyReportIsItsSummary) {
  const auto lines = lines_of(report_markdown({}));
  EXPECT_EQ(lines.front(), "# Quantization sensitivity");
  EXPECT_EQ(std::ranges::count_if(lines, [](const std::string& line) { return line.starts_with('#'); }), 1);
}

}  // namespace
}  // namespace qvl
