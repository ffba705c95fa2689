// What reports say in words.
#include "sensitivity/report/report_verdict.h"

#include <gtest/gtest.h>

#include "replay/unmeasured.h"
#include "support/fake_report.h"

namespace qvl {
namespace {

WholeResult result(std::optional<double> kl, double mse, std::optional<double> top1,
                   std::optional<double> exact) {
  OutputError error;
  error.mse = mse;
  error.kl = kl;
  error.top1 = top1;
  error.exact = exact;
  return {"int8", error};
}

TEST(Verdict, OfAnswersLogitsAndPlainOutputs) {
  SensitivityReport report;
  report.has_logits = true;
  report.samples = 64;
  report.exact_unquantized = 59.0 / 64;
  EXPECT_EQ(verdict_words(report, result(2e-4, 1, 0.99, 59.0 / 64)), "no answer lost, KL 2e-4");
  EXPECT_EQ(verdict_words(report, result(0.0123, 1, 0.99, 60.0 / 64)), "no answer lost, KL 0.012");
  EXPECT_EQ(verdict_words(report, result(1.25, 1, 0.5, 56.0 / 64)), "3 of 59 right answers lost, KL 1.3");
  WholeResult swapped = result(2e-4, 1, 0.99, 59.0 / 64);  // as many, but others
  swapped.answers_lost = 2;
  EXPECT_EQ(verdict_words(report, swapped), "2 of 59 right answers lost, KL 2e-4");
  report.exact_unquantized.reset();
  EXPECT_EQ(verdict_words(report, result(2.5e-7, 1, 1.0, std::nullopt)),
            "the most likely token is the same everywhere, KL 2.5e-7");
  EXPECT_EQ(verdict_words(report, result(0.03, 1, 0.975, std::nullopt)),
            "the most likely token changes at 2.5% of the positions, KL 0.030");
  report.has_logits = false;
  EXPECT_EQ(verdict_words(report, result(std::nullopt, 3e-5, std::nullopt, std::nullopt)), "MSE 3e-5");
  report.output_mean_square = 3e-5 / 1.6e-5;
  EXPECT_EQ(verdict_words(report, result(std::nullopt, 3e-5, std::nullopt, std::nullopt)),
            "MSE 3e-5, 0.40% of the output");
  EXPECT_EQ(verdict_words(report, {"int8", std::nullopt}), "");
}

EstimateTrust trust_of(double spearman) {
  EstimateTrust trust{"int8", "in", 8, spearman, 0.25, 8, 5, std::nullopt, false};
  return trust;
}

TEST(Trust, IsSaidInWords) {
  EXPECT_EQ(
      trust_words(trust_of(0.5)),
      "the estimate ranks this model poorly (Spearman 0.50 ± 0.25 on 8 units drawn by chance): measure with "
      "--method auto or exact");
  EXPECT_EQ(trust_words(trust_of(0.95)),
            "the estimate ranks this model well (Spearman 0.95 ± 0.25 on 8 units drawn by chance)");
  EstimateTrust settled = trust_of(0.8);
  settled.settled = true;
  settled.top_found = 1;
  settled.measured = 44;
  EXPECT_EQ(trust_words(settled),
            "the estimate ranks this model roughly (Spearman 0.80 ± 0.25 on 8 units drawn by chance; 1 of "
            "the 5 most "
            "sensitive units are among its first 5); 44 units were measured, until the first 5 were settled");
  settled.settled = false;
  settled.top_found.reset();
  EXPECT_TRUE(
      trust_words(settled).ends_with("the first 5 are not settled: the same command without --shard on this "
                                     "folder goes on"));
  EXPECT_EQ(trust_words({"int8", "in", 1, std::nullopt, 0, 3, 3, std::nullopt, true}),
            "3 units were measured, until the first 3 were settled; too few to check the estimate");
  EstimateTrust unchecked{"int8", "in", 0, std::nullopt, 0, 0, 5, std::nullopt, false};
  EXPECT_EQ(trust_words(unchecked),
            "all units are estimated; the estimate was not checked on this model: --method auto checks it");
}

std::vector<std::string> commands(const SensitivityReport& report, const ReportPlaces& places = {}) {
  std::vector<std::string> found;
  for (const NextStep& step : next_steps(report, places)) found.push_back(step.command);
  return found;
}

using Commands = std::vector<std::string>;

TEST(NextSteps, TakeTheSmallestFormatThatIsGood) {
  SensitivityReport report = test::fake_tiny_report();
  report.whole[0].all->exact = report.whole[1].all->exact = report.exact_unquantized;
  report.whole[1].all->kl = 0.0421;
  EXPECT_EQ(smallest_good_format(report), "int4:32");
  EXPECT_EQ(
      commands(report, ReportPlaces::of("my report", "models/3b", "chats.jsonl")),
      (Commands{"qvl quantize models/3b --format int4:32 --out 'my report'/quantized-int4-32",
                "qvl plan 'my report' --budget kl=0.043 --out 'my report'/plan.json",
                "qvl quantize models/3b --plan 'my report'/plan.json --out 'my report'/quantized-plan"}));
}

TEST(NextSteps, WhereNoFormatIsGoodAPlanIs) {
  SensitivityReport report = test::fake_tiny_report();
  for (WholeResult& whole : report.whole) whole.all->exact = 0.1;
  report.whole[0].all->kl = 0.3;
  report.whole[1].all->kl = 2;
  EXPECT_EQ(smallest_good_format(report), std::nullopt);
  EXPECT_EQ(commands(report), (Commands{"qvl plan . --budget kl=0.030 --out plan.json",
                                        "qvl quantize . --plan plan.json --out quantized-plan"}));
}

TEST(NextSteps, WithoutLogitsTheBudgetIsOfBits) {
  SensitivityReport report = test::fake_plain_report();
  report.whole[0].all->mse = 0.01;  // 2% of the output
  const Commands found = commands(report);
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0], "qvl quantize . --format int8 --out quantized-int8");
  EXPECT_TRUE(found[1].starts_with("qvl plan . --budget bits=")) << found[1];
  report.whole[0].all->mse = 4;
  EXPECT_EQ(commands(report)[0], "qvl plan . --budget bits=12 --out plan.json");
}

TEST(NextSteps, OfBranchesAloneThereAreNone) {
  SensitivityReport report = test::fake_tiny_report();
  report.units.front().in_body = true;
  EXPECT_FALSE(commands(report).empty());
  EXPECT_EQ(in_body_text(report),
            "1 unit lies in branches that all samples take: measured, but never quantized");
  for (UnitResult& unit : report.units) unit.in_body = true;
  EXPECT_TRUE(commands(report).empty());
}

TEST(NextSteps, PathsAreOneWordOfAShell) {
  const ReportPlaces places = ReportPlaces::of("it's", "-m", "$(rm x)");
  EXPECT_EQ(places.report, "'it'\\''s'");
  EXPECT_EQ(places.model, "./'-m'");
  EXPECT_EQ(places.data, "'$(rm x)'");
  EXPECT_TRUE(next_steps({}, {}).empty());
}

}  // namespace
}  // namespace qvl
