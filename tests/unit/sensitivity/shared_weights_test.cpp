// The automatic method on a model that the estimate is poor at: an encoder that has the same weights in each
// layer.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "checkpoint/safetensors_writer.h"
#include "qvl/sensitivity.h"
#include "sensitivity/report/report_ranking.h"
#include "sensitivity/report/report_verdict.h"
#include "support/shared_encoder.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

class SharedWeightsTest : public testing::Test {
 protected:
  SharedWeightsTest() {
    options_.model = folder_.path() / "encoder.onnx";
    options_.data = folder_.path() / "samples";
    options_.formats = {"int8", "int4:16", "int8-dynamic"};
    fs::create_directory(options_.data);
    test::SharedEncoder encoder = test::shared_encoder(4);
    encoder.model.save(options_.model);
    for (std::size_t i = 0; i < encoder.samples.size(); ++i) {
      std::vector<NamedTensor> named;
      for (const auto& [name, tensor] : encoder.samples[i]) named.push_back({name, tensor.view()});
      write_safetensors(options_.data / (std::to_string(i) + ".safetensors"), named);
    }
  }

  SensitivityRun measure(Method method, const std::string& folder) {
    options_.method = method;
    options_.report = folder_.path() / folder;
    return measure_sensitivity(options_);
  }

  static std::vector<std::string> top(const SensitivityReport& report, const std::string& format,
                                      RankingDirection direction, std::size_t count) {
    std::vector<std::string> names;
    for (const RankedUnit& ranked : rank_units(report, format, direction)) {
      if (names.size() < count) names.push_back(ranked.unit->name);
    }
    return names;
  }

  const test::TemporaryFolder folder_;
  SensitivityOptions options_;
};

TEST_F(SharedWeightsTest, AutoFindsTheHeadThatExactFinds) {
  options_.direction_out = true;
  const SensitivityReport exact = measure(Method::exact, "exact").report;
  const SensitivityReport automatic = measure(Method::automatic, "auto").report;
  ASSERT_EQ(exact.units.size(), static_cast<std::size_t>(test::SharedEncoder::kUnits));
  for (const std::string& format : options_.formats) {
    for (const auto direction : {RankingDirection::in, RankingDirection::out})
      EXPECT_EQ(top(automatic, format, direction, 5), top(exact, format, direction, 5)) << format;
  }
  ASSERT_EQ(automatic.trust.size(), 6U);
  std::int64_t missed = 0;
  for (const EstimateTrust& trust : automatic.trust) {
    EXPECT_TRUE(trust.settled);
    EXPECT_EQ(trust.checked, 8);
    EXPECT_GE(trust.measured, 8);
    ASSERT_TRUE(trust.top_found);
    ASSERT_TRUE(trust.spearman);
    missed += trust.top - *trust.top_found;
    RecordProperty(trust.format + trust.direction, trust_words(trust));
  }
  EXPECT_GT(missed, 0);  // the estimate alone does not find all: what was measured besides did
  EXPECT_TRUE(exact.trust.empty());
}

// Stopped in the first round and gone on with, or with the numbers of an exact run at hand: the same bytes.
TEST_F(SharedWeightsTest, TheSameDataGiveTheSameBytes) {
  options_.formats = {"int4:16"};
  (void)measure(Method::automatic, "once");
  CancelToken cancel;
  options_.cancel = &cancel;
  options_.on_progress = [&](const SensitivityProgress& progress) {
    if (progress.stage == "replays to the output" && progress.units_done > 1) cancel.cancel();
  };
  EXPECT_THROW((void)measure(Method::automatic, "stopped"), Interrupted);
  options_.cancel = nullptr;
  options_.on_progress = nullptr;
  EXPECT_GT(measure(Method::automatic, "stopped").reused, 0);
  (void)measure(Method::exact, "both");
  (void)measure(Method::automatic, "both");
  EXPECT_EQ(measure(Method::automatic, "both").measured, 0);
  for (const char* name : {"report.json", "report.csv", "report.md", "report.html"}) {
    const std::string once = test::read_file(folder_.path() / "once" / name);
    EXPECT_EQ(test::read_file(folder_.path() / "stopped" / name), once) << name;
    EXPECT_EQ(test::read_file(folder_.path() / "both" / name), once) << name;
  }
}

// Shards know their own numbers only: what these leave open, the same command on the merged folder measures.
TEST_F(SharedWeightsTest, MergedShardsAreGoneOnWith) {
  options_.formats = {"int4:16"};
  (void)measure(Method::automatic, "whole");
  std::vector<fs::path> shards;
  for (int shard = 0; shard < 3; ++shard) {
    options_.shard = {shard, 3};
    (void)measure(Method::automatic, "shard" + std::to_string(shard));
    shards.push_back(options_.report);
  }
  options_.shard = {};
  const fs::path merged = folder_.path() / "merged";
  const SensitivityReport first = merge_sensitivity(shards, merged).report;
  ASSERT_EQ(first.trust.size(), 1U);
  EXPECT_GE(first.trust[0].measured, 8);
  (void)measure(Method::automatic, "merged");
  for (const char* name : {"report.json", "report.csv", "report.md", "report.html"})
    EXPECT_EQ(test::read_file(merged / name), test::read_file(folder_.path() / "whole" / name)) << name;
}

}  // namespace
}  // namespace qvl
