#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "sensitivity/report/report_files.h"
#include "support/fake_report.h"

namespace qvl {
namespace {

// RFC 4180, read by the letter.
std::vector<std::vector<std::string>> parse_csv(const std::string& text) {
  std::vector<std::vector<std::string>> rows(1, std::vector<std::string>(1));
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string& field = rows.back().back();
    if (text[i] == '"') {
      if (quoted && text[i + 1] == '"') {
        field += text[i++];
      } else {
        quoted = !quoted;
      }
    } else if (quoted) {
      field += text[i];
    } else if (text[i] == ',') {
      rows.back().emplace_back();
    } else if (text.compare(i, 2, "\r\n") == 0) {
      rows.emplace_back(1);
      ++i;
    } else {
      field += text[i];
    }
  }
  rows.pop_back();  // behind the last line's end
  return rows;
}

TEST(ReportCsv, HasARowForEachUnitAndFormat) {
  const SensitivityReport report = test::fake_tiny_report();
  const auto rows = parse_csv(report_csv(report));
  ASSERT_EQ(rows.size(), 1 + 2 * report.units.size());
  for (const auto& row : rows) EXPECT_EQ(row.size(), rows[0].size());
  const auto cell = [&](std::size_t row, const std::string& column) {
    for (std::size_t i = 0; i < rows[0].size(); ++i) {
      if (rows[0][i] == column) return rows[row][i];
    }
    return std::string("no such column");
  };
  const UnitResult& unit = report.units[1];
  EXPECT_EQ(cell(3, "name"), unit.name);
  EXPECT_EQ(cell(3, "rows"), "48");
  EXPECT_EQ(cell(3, "format"), "int8");
  EXPECT_EQ(cell(4, "format"), "int4:32");
  EXPECT_EQ(cell(4, "method"), unit.formats[1].method);
  EXPECT_EQ(std::stod(cell(4, "weight_mse")), unit.formats[1].weight_mse);
  EXPECT_EQ(std::stod(cell(4, "relative_error")), unit.formats[1].local->relative_error);
  EXPECT_EQ(std::stod(cell(4, "in_kl")), unit.formats[1].in->kl);
  EXPECT_EQ(std::stod(cell(4, "out_mse")), unit.formats[1].out->mse);
  EXPECT_EQ(std::stod(cell(4, "fast_out_kl")), unit.formats[1].fast_out->kl);
  EXPECT_EQ(cell(4, "picture_relative_error"), "");  // of a vision unit
  EXPECT_EQ(cell(4, "score"), "");
}

TEST(ReportCsv, QuotesWhatWouldBreakARow) {
  SensitivityReport report = test::fake_plain_report();
  report.units[0].name = "a,\"b\"\r\nc";
  report.units[0].weight = "plain";
  const std::string text = report_csv(report);
  EXPECT_NE(text.find("\r\n\"a,\"\"b\"\"\r\nc\",Conv,plain,"), std::string::npos);
  EXPECT_EQ(parse_csv(text)[1][0], report.units[0].name);
}

TEST(ReportCsv, LeavesOutWhatIsNotFinite) {
  SensitivityReport report = test::fake_plain_report();
  report.units.resize(1);
  FormatResult& result = report.units[0].formats[0];
  result.local->sqnr_db = std::numeric_limits<double>::infinity();
  result.in->mse = std::numeric_limits<double>::quiet_NaN();
  const auto rows = parse_csv(report_csv(report));
  EXPECT_EQ(rows[1][14], "");
  EXPECT_EQ(rows[1][18], "");
  EXPECT_EQ(rows[0][14], "sqnr_db");
  EXPECT_EQ(rows[0][18], "in_mse");
}

TEST(ReportCsv, OfAnEmptyReportIsTheHeader) {
  const auto rows = parse_csv(report_csv({}));
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].front(), "name");
}

}  // namespace
}  // namespace qvl
