// report.json: the keys that users' scripts read, and numbers that any JSON reader takes.
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "sensitivity/report/report_files.h"
#include "support/fake_report.h"

namespace qvl {
namespace {

using OrderedJson = nlohmann::ordered_json;

std::vector<std::string> keys(const OrderedJson& json) {
  std::vector<std::string> result;
  for (const auto& [key, value] : json.items()) result.push_back(key);
  return result;
}

using Keys = std::vector<std::string>;

TEST(ReportJson, HasTheKeysOfTheDocumentInTheirOrder) {
  const OrderedJson json = OrderedJson::parse(report_json(test::fake_tiny_report()));
  EXPECT_EQ(keys(json),
            (Keys{"model", "model_sha256", "data", "data_sha256", "samples", "positions", "settings",
                  "criterion", "has_logits", "exact_unquantized", "output_mean_square", "formats", "units",
                  "whole", "correlation", "trust", "verdict", "next"}));
  const OrderedJson& unit = json["units"][1];
  EXPECT_EQ(keys(unit), (Keys{"name", "op", "weight", "shape", "parameters", "part", "block", "layer", "kind",
                              "formats"}));
  EXPECT_EQ(keys(unit["formats"]), (Keys{"int8", "int4:32"}));
  const OrderedJson& result = unit["formats"]["int8"];
  EXPECT_EQ(keys(result),
            (Keys{"local", "in", "out", "method", "weight_mse", "fast_in", "fast_out", "score"}));
  EXPECT_EQ(keys(result["local"]),
            (Keys{"relative_error", "sqnr_db", "cosine", "picture_relative_error", "text_relative_error"}));
  const Keys output{"mse", "kl", "kl_stderr", "top1", "kl_median", "kl_p99", "exact"};
  EXPECT_EQ(keys(result["in"]), output);
  EXPECT_EQ(keys(result["out"]), output);
  EXPECT_EQ(keys(result["fast_in"]), (Keys{"mse", "kl"}));
  EXPECT_EQ(keys(json["whole"]["int4:32"]), output);
  EXPECT_EQ(keys(json["correlation"]["int8"]["out"]["mse"]), (Keys{"spearman", "units"}));
  EXPECT_EQ(keys(json["trust"]["int4:32"]["in"]), (Keys{"words", "checked", "spearman", "spearman_error",
                                                        "measured", "top", "top_found", "settled"}));
  EXPECT_EQ(keys(json["verdict"]), (Keys{"int8", "int4:32"}));
  EXPECT_EQ(keys(json["next"][0]), (Keys{"what", "command"}));
}

TEST(ReportJson, HoldsTheNumbersOfTheReport) {
  const SensitivityReport report = test::fake_tiny_report();
  const OrderedJson json = OrderedJson::parse(report_json(report));
  const UnitResult& unit = report.units[3];
  const OrderedJson& written = json["units"][3];
  EXPECT_EQ(written["name"], unit.name);
  EXPECT_EQ(written["weight"], unit.weight);
  EXPECT_EQ(written["shape"], (std::vector<std::int64_t>{unit.depth, unit.rows}));
  EXPECT_EQ(written["formats"]["int4:32"]["in"]["kl"], unit.formats[1].in->kl.value());
  EXPECT_EQ(written["formats"]["int8"]["local"]["sqnr_db"], unit.formats[0].local->sqnr_db);
  EXPECT_EQ(json["correlation"]["int8"]["in"]["kl"]["spearman"], report.correlations[0].spearman);
  EXPECT_EQ(json["exact_unquantized"], 59.0 / 64);
  EXPECT_EQ(json["settings"]["calibrate"], "minmax");
}

TEST(ReportJson, WritesTheShortestTextOfADouble) {
  SensitivityReport report;
  report.exact_unquantized = 0.1 + 0.2;
  EXPECT_NE(report_json(report).find("\"exact_unquantized\": 0.30000000000000004,"), std::string::npos);
  report.exact_unquantized = 5e-324;
  EXPECT_NE(report_json(report).find("\"exact_unquantized\": 5e-324,"), std::string::npos);
  // Here the JSON library's own writer needs a digit more (0.42362803010708727).
  report.exact_unquantized = 0.4236280301070873;
  EXPECT_NE(report_json(report).find("\"exact_unquantized\": 0.4236280301070873,"), std::string::npos);
}

TEST(ReportJson, NumbersThatAreNotFiniteAreNull) {
  SensitivityReport report = test::fake_tiny_report();
  FormatResult& result = report.units[0].formats[0];
  result.local->relative_error = 0;
  result.local->sqnr_db = std::numeric_limits<double>::infinity();
  result.in->kl = std::numeric_limits<double>::quiet_NaN();
  result.weight_mse = -std::numeric_limits<double>::infinity();
  report.correlations[0].spearman = std::numeric_limits<double>::quiet_NaN();
  const OrderedJson json = OrderedJson::parse(report_json(report));
  const OrderedJson& written = json["units"][0]["formats"]["int8"];
  EXPECT_TRUE(written["local"]["sqnr_db"].is_null());
  EXPECT_TRUE(written["in"]["kl"].is_null());
  EXPECT_TRUE(written["weight_mse"].is_null());
  EXPECT_TRUE(json["correlation"]["int8"]["in"]["kl"]["spearman"].is_null());
}

TEST(ReportJson, WhatWasNotMeasuredIsNull) {
  SensitivityReport report = test::fake_plain_report();
  FormatResult& result = report.units[0].formats[0];
  result = {};
  result.format = "int8";
  result.score = 2.5;
  report.whole[0].all.reset();
  const OrderedJson json = OrderedJson::parse(report_json(report));
  const OrderedJson& written = json["units"][0]["formats"]["int8"];
  for (const char* key : {"local", "in", "out", "method", "fast_in", "fast_out"}) {
    EXPECT_TRUE(written.at(key).is_null()) << key;
  }
  EXPECT_EQ(written["score"], 2.5);
  EXPECT_TRUE(json["units"][1]["formats"]["int8"]["in"].at("kl").is_null());
  EXPECT_TRUE(json["whole"].at("int8").is_null());
}

TEST(ReportJson, HoldsTheCurveAndThePlans) {
  SensitivityReport report = test::fake_tiny_report();
  const std::string without = report_json(report);
  report.front = test::fake_front(report, 4);
  const PlanFront& front = *report.front;
  ASSERT_FALSE(front.marks[3].measured);
  const std::string text = report_json(report);
  // All other bytes are those of the report without plans.
  EXPECT_EQ(text.substr(0, without.size() - 3) + "\n}\n", without);
  const OrderedJson json = OrderedJson::parse(text)["front"];
  EXPECT_EQ(keys(json), (Keys{"unquantized_bytes", "points", "marks"}));
  EXPECT_EQ(json["unquantized_bytes"], front.unquantized_bytes);
  ASSERT_EQ(json["points"].size(), front.points.size());
  const OrderedJson& point = json["points"][5];
  EXPECT_EQ(keys(point), (Keys{"bytes", "bits", "error"}));
  EXPECT_EQ(point["bytes"], front.points[5].bytes);
  EXPECT_EQ(point["bits"], front.points[5].bits);
  EXPECT_EQ(point["error"], front.points[5].error);
  ASSERT_EQ(json["marks"].size(), 4U);
  const OrderedJson& mark = json["marks"][1];
  EXPECT_EQ(keys(mark), (Keys{"name", "bytes", "bits", "predicted", "measured"}));
  EXPECT_EQ(mark["name"], "bits=5.25");
  EXPECT_EQ(mark["bytes"], front.marks[1].point.bytes);
  EXPECT_EQ(mark["bits"], front.marks[1].point.bits);
  EXPECT_EQ(mark["predicted"], front.marks[1].point.error);
  EXPECT_EQ(mark["measured"], front.marks[1].measured.value());
  EXPECT_TRUE(json["marks"][3].at("measured").is_null());
}

TEST(ReportJson, OfACurveWithoutPointsHasEmptyLists) {
  SensitivityReport report;
  report.front.emplace();
  const OrderedJson json = OrderedJson::parse(report_json(report));
  EXPECT_EQ(json["front"]["points"], OrderedJson::array());
  EXPECT_EQ(json["front"]["marks"], OrderedJson::array());
}

TEST(ReportJson, OfAnEmptyReportHasEmptyLists) {
  const OrderedJson json = OrderedJson::parse(report_json({}));
  EXPECT_EQ(json["units"], OrderedJson::array());
  EXPECT_EQ(json["formats"], OrderedJson::array());
  EXPECT_EQ(json["settings"], OrderedJson::object());
  EXPECT_EQ(json["whole"], OrderedJson::object());
  EXPECT_EQ(json["correlation"], OrderedJson::object());
  EXPECT_TRUE(json["exact_unquantized"].is_null());
  EXPECT_FALSE(json.contains("front"));
}

TEST(ReportJson, NamesThatAreNoUtf8AreStillJson) {
  SensitivityReport report = test::fake_tiny_report();
  report.units[0].name = "a\xff\"\\\n</script>\xc3\xa9";
  const OrderedJson json = OrderedJson::parse(report_json(report));
  EXPECT_EQ(json["units"][0]["name"], "a\xef\xbf\xbd\"\\\n</script>\xc3\xa9");
}

}  // namespace
}  // namespace qvl
