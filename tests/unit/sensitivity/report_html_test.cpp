// report.html as text; tests/browser opens it.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "sensitivity/report/report_files.h"
#include "support/fake_report.h"
#include "support/test_data.h"

namespace qvl {
namespace {

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

// What the script reads.
std::string data_of(const std::string& page) {
  const std::string start = "<script type=\"application/json\" id=\"report\">";
  const std::size_t from = page.find(start) + start.size();
  return page.substr(from, page.find("</script>", from) - from);
}

TEST(ReportHtml, HoldsTheReport) {
  SensitivityReport planned = test::fake_tiny_report();
  planned.front = test::fake_front(planned, 2);
  for (const SensitivityReport& report :
       {test::fake_tiny_report(), planned, test::fake_plain_report(), SensitivityReport()}) {
    const std::string page = report_html(report);
    EXPECT_EQ(nlohmann::json::parse(data_of(page)), nlohmann::json::parse(report_json(report)));
    for (const char* mark : {"[[title]]", "[[style]]", "[[words]]", "[[report]]", "[[script]]"})
      EXPECT_EQ(count(page, mark), 0U);
    EXPECT_TRUE(page.ends_with("</html>\n"));
  }
}

TEST(ReportHtml, NoNameBreaksOut) {
  const SensitivityReport report = test::fake_hostile_report();
  const std::string page = report_html(report);
  const std::string harmless = report_html(test::fake_tiny_report());
  for (const char* tag : {"<script", "</script", "<!--", "<img", "</title>", "<b>"}) {
    EXPECT_EQ(count(page, tag), count(harmless, tag)) << tag;
  }
  const nlohmann::json json = nlohmann::json::parse(data_of(page));
  EXPECT_EQ(json["model"], report.model);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(json["units"][i]["name"], report.units[i].name);
  EXPECT_EQ(json["front"]["marks"][0]["name"], report.front->marks[0].name);
  EXPECT_NE(
      page.find("<title>&lt;/title&gt;&lt;script&gt;document.title = 'broken out'&lt;/script&gt;&amp;amp;"
                "[[report]] – "),
      std::string::npos);
}

TEST(ReportHtml, AsksForNothingFromTheNetwork) {
  const std::string page = report_html(test::fake_tiny_report());
  EXPECT_EQ(count(page, "src="), 0U);
  EXPECT_EQ(count(page, "@import"), 0U);
  EXPECT_EQ(count(page, "url("), 0U);
  EXPECT_EQ(count(page, "://"), 1U);  // the name of SVG
  EXPECT_NE(page.find("default-src 'none'"), std::string::npos);
}

// What a reader sees of it: no words of logits where there are none. (The script has them, and does not run
// them.)
TEST(ReportHtml, WithoutLogitsThereAreNoWordsOfThem) {
  const auto shown = [](const SensitivityReport& report) {
    const std::string page = report_html(report);
    return page.substr(0, page.find("<script type"));
  };
  EXPECT_NE(shown(test::fake_tiny_report()).find("Kullback-Leibler"), std::string::npos);
  for (const char* word : {"KL", "Kullback", "token with", "likely token"})
    EXPECT_EQ(count(shown(test::fake_plain_report()), word), 0U) << word;
}

TEST(ReportHtml, HoldsNoNumberThatIsNotFinite) {
  SensitivityReport report = test::fake_tiny_report();
  report.units[0].formats[0].in->kl = std::nan("");
  report.units[1].formats[0].local->sqnr_db = INFINITY;
  const nlohmann::json json = nlohmann::json::parse(data_of(report_html(report)));
  EXPECT_TRUE(json["units"][0]["formats"]["int8"]["in"]["kl"].is_null());
  EXPECT_TRUE(json["units"][1]["formats"]["int8"]["local"]["sqnr_db"].is_null());
}

TEST(ReportFiles, AreWrittenIntoAFolderThatIsMadeForThem) {
  const test::TemporaryFolder folder;
  const SensitivityReport report = test::fake_tiny_report();
  const std::filesystem::path place = folder.path() / "a" / "b";
  write_reports(report, place);
  EXPECT_EQ(test::read_file(place / "report.json"), report_json(report));
  EXPECT_EQ(test::read_file(place / "report.csv"), report_csv(report));
  EXPECT_EQ(test::read_file(place / "report.md"), report_markdown(report));
  EXPECT_EQ(test::read_file(place / "report.html"), report_html(report));
  EXPECT_THROW(write_reports(report, place / "report.csv"), InputError);
}

}  // namespace
}  // namespace qvl
