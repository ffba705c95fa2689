// qvl plan as scripts use it.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "cli/program.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// The demo checkpoint for small pictures and a report of some of its units, made once.
class PlanTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new test::TemporaryFolder;
    const std::string model = (shared_->path() / "model").string();
    const auto made = test::qvl({"export", test::demo_checkpoint().string(), "--out", model, "--only",
                                 "vision,text_with_image", "--image-size", "112", "--quiet"});
    ASSERT_EQ(made.exit_code, 0) << made.err;
    const auto measured =
        test::qvl({"sensitivity", model, "--data", test::data("shapes-data/calibration.jsonl").string(),
                   "--samples", "2", "--units", "*blocks.0/*,*layers.0/*", "--formats", "int8,int4:32",
                   "--method", "exact", "--out", (shared_->path() / "report").string(), "--quiet"});
    ASSERT_EQ(measured.exit_code, 0) << measured.err;
  }
  static void TearDownTestSuite() {
    delete shared_;
    shared_ = nullptr;
  }
  PlanTest() { fs::copy(shared_->path() / "report", report(), fs::copy_options::recursive); }

  [[nodiscard]] std::string report() const { return (folder_.path() / "report").string(); }
  [[nodiscard]] std::string out() const { return (folder_.path() / "plan.json").string(); }
  [[nodiscard]] std::vector<std::string> command(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments{"plan", report(), "--out", out(), "--quiet"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  void refuse(const std::vector<std::string>& more, int code, const std::string& message) const {
    const auto result = test::qvl(command(more));
    EXPECT_EQ(result.exit_code, code) << result.err;
    EXPECT_NE(result.err.find(message), std::string::npos) << result.err;
    EXPECT_FALSE(fs::exists(out()));
  }

  static test::TemporaryFolder* shared_;
  const test::TemporaryFolder folder_;
};

test::TemporaryFolder* PlanTest::shared_ = nullptr;

TEST_F(PlanTest, PlanAndSummaryHaveTheKeysThatScriptsRelyOn) {
  const auto result = test::qvl(command({"--budget", "bits=6", "--json"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  const Json summary = Json::parse(result.out);
  EXPECT_EQ(summary["plan"], out());
  EXPECT_LE(summary["bits"].get<double>(), 6);
  EXPECT_LT(summary["bytes"].get<int>(), summary["unquantized_bytes"].get<int>());
  EXPECT_TRUE(summary["predicted"].is_number() && summary["measured"].is_number());
  EXPECT_TRUE(summary["measured_stderr"].is_number() && summary["latency_ms"].is_null());
  EXPECT_EQ(summary["gap"], 0);
  EXPECT_GT(summary["quantized_units"].get<int>(), 0);
  const Json plan = Json::parse(test::read_file(out()));
  EXPECT_EQ(plan["record"]["measured"], summary["measured"]);
  EXPECT_EQ(plan["record"]["rounds"], summary["rounds"]);
  std::map<std::string, int> counts;
  for (const Json& unit : plan["units"]) ++counts[unit["format"].get<std::string>()];
  for (const auto& [format, count] : counts) EXPECT_EQ(summary["formats"][format]["units"], count) << format;
  EXPECT_EQ(counts.size(), summary["formats"].size());
}

TEST_F(PlanTest, APlanThatQuantizesNothingSaysSo) {
  const auto result = test::qvl(command({"--budget", "bytes=1GiB", "--no-measure", "--json"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "qvl: warning: the plan quantizes nothing: all units fit the budget as they are\n");
  EXPECT_EQ(Json::parse(result.out)["quantized_units"], 0);
}

TEST_F(PlanTest, TheTableEndsWithThePlan) {
  const auto result = test::qvl(command({"--budget", "bytes=1.5MiB", "--no-measure"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(result.out.starts_with("format ")) << result.out;
  EXPECT_NE(result.out.find("\npredicted "), std::string::npos) << result.out;
  EXPECT_EQ(result.out.find("measured"), std::string::npos) << result.out;
  EXPECT_TRUE(result.out.ends_with("\n" + out() + "\n")) << result.out;
}

TEST_F(PlanTest, KilledAndRunAgainGivesThePlanOfAnUndisturbedRun) {
  const std::vector<std::string> arguments = command({"--budget", "bits=6"});
  ASSERT_EQ(test::qvl(arguments).exit_code, 0);
  const std::string undisturbed = test::read_file(out());
  fs::remove_all(report());
  fs::copy(shared_->path() / "report", report(), fs::copy_options::recursive);
  fs::remove(out());
  int in_the_middle = 0;
  for (int kill_number = 0; kill_number < 5; ++kill_number) {
    const int child = test::start_qvl(arguments);
    usleep(static_cast<useconds_t>(80'000 + 90'000 * kill_number));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    in_the_middle += WIFSIGNALED(status) ? 1 : 0;
  }
  EXPECT_GT(in_the_middle, 0);
  ASSERT_EQ(test::qvl(arguments).exit_code, 0);
  EXPECT_EQ(test::read_file(out()), undisturbed);
}

TEST_F(PlanTest, WrongUsageAndBudgetsThatNothingMeetsAreRefused) {
  refuse({"--budget", "bits=6", "--budget", "bytes=1MB"}, 2, "exactly one");
  refuse({"--budget", "bits=6", "--budget", "bits=5"}, 2, "given twice");
  refuse({"--budget", "latency=3"}, 2, "exactly one");
  refuse({"--budget", "size=3"}, 2, "bytes=SIZE");
  refuse({"--budget", "bits=many"}, 2, "a number is expected");
  refuse({"--budget", "bits=6", "--formats", "int2"}, 2, "int2");
  refuse({"--budget", "bits=6", "--formats", "int8-dynamic"}, 2, "was not measured");
  refuse({"--budget", "bytes=10kB"}, 3, "the least that can be had is bytes=");
  refuse({"--budget", "bits=6", "--model", out()}, 3, "does not exist");
}

}  // namespace
}  // namespace qvl
