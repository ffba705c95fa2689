// qvl sensitivity as scripts use it.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "cli/program.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

std::string text_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// A model folder of the demo checkpoint for small pictures, made once.
class SensitivityTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new test::TemporaryFolder;
    const auto made = test::qvl({"export", test::demo_checkpoint().string(), "--out", model(), "--only",
                                 "vision,text_with_image", "--image-size", "112", "--quiet"});
    ASSERT_EQ(made.exit_code, 0) << made.err;
  }
  static void TearDownTestSuite() {
    delete shared_;
    shared_ = nullptr;
  }
  static std::string model() { return (shared_->path() / "model").string(); }
  static std::string chats() { return test::data("shapes-data/calibration.jsonl").string(); }

  [[nodiscard]] std::string out(const std::string& name) const { return (folder_.path() / name).string(); }
  [[nodiscard]] std::vector<std::string> command(const std::string& report,
                                                 const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments{"sensitivity", model(),
                                       "--data",      chats(),
                                       "--samples",   "2",
                                       "--units",     "*blocks.0/*,*layers.0/*,!*attn*",
                                       "--formats",   "int8,int4:32",
                                       "--out",       out(report),
                                       "--quiet",     "--json"};
    for (std::size_t i = 0; i < more.size(); i += 2) {  // options with their values, in place of those above
      const auto known = std::ranges::find(arguments, more[i]);
      if (known != arguments.end()) {
        known[1] = more[i + 1];
      } else {
        arguments.insert(arguments.end(), {more[i], more[i + 1]});
      }
    }
    return arguments;
  }
  Json run(const std::string& report, const std::vector<std::string>& more = {}) const {
    const auto result = test::qvl(command(report, more));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.exit_code == 0 ? Json::parse(result.out) : Json();
  }
  void expect_same_reports(const std::string& a, const std::string& b) const {
    for (const char* name : {"report.json", "report.html", "report.csv", "report.md"}) {
      const std::string one = text_of(fs::path(out(a)) / name);
      EXPECT_FALSE(one.empty()) << name;
      EXPECT_TRUE(one == text_of(fs::path(out(b)) / name)) << name << " of " << a << " and " << b;
    }
  }
  void refuse(const std::vector<std::string>& arguments, int code, const std::string& message) const {
    const auto result = test::qvl(arguments);
    EXPECT_EQ(result.exit_code, code) << result.err;
    EXPECT_NE(result.err.find(message), std::string::npos) << result.err;
  }

  static test::TemporaryFolder* shared_;
  const test::TemporaryFolder folder_;
};

test::TemporaryFolder* SensitivityTest::shared_ = nullptr;

TEST_F(SensitivityTest, ReportsHaveTheKeysThatScriptsRelyOn) {
  const Json summary = run("a", {"--method", "exact", "--direction", "both"});
  EXPECT_EQ(summary["units"], 6);
  EXPECT_GT(summary["measured"], 0);
  const Json report = Json::parse(text_of(out("a") + "/report.json"));
  EXPECT_EQ(report["data"], "calibration.jsonl");
  EXPECT_TRUE(report.contains("model") && report.contains("settings") && report.contains("correlation"));
  ASSERT_EQ(report["units"].size(), 6U);
  for (const Json& unit : report["units"]) {
    EXPECT_TRUE(unit["name"].is_string() && unit["op"].is_string() && unit["weight"].is_string());
    EXPECT_EQ(unit["shape"][0].get<int>() * unit["shape"][1].get<int>(), unit["parameters"]);
    for (const char* format : {"int8", "int4:32"}) {
      const Json& numbers = unit["formats"][format];
      EXPECT_EQ(numbers["method"], "exact");
      for (const char* key : {"relative_error", "sqnr_db", "cosine"})
        EXPECT_TRUE(numbers["local"][key].is_number());
      for (const char* direction : {"in", "out"}) {
        for (const char* key : {"mse", "kl", "kl_stderr", "top1"})
          EXPECT_TRUE(numbers[direction][key].is_number()) << direction << key;
      }
    }
  }
}

// The verdicts, and commands that can be run as they stand; those of the report stand for the report's own
// folder.
TEST_F(SensitivityTest, SaysHowItWentAndWhatToDoNext) {
  std::vector<std::string> arguments = command("a", {"--method", "exact"});
  std::erase(arguments, "--json");
  const auto result = test::qvl(arguments);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json report = Json::parse(text_of(fs::path(out("a")) / "report.json"));
  const std::string markdown = text_of(fs::path(out("a")) / "report.md");
  for (const char* format : {"int8", "int4:32"}) {
    const auto verdict = report["verdict"][format].get<std::string>();
    EXPECT_NE(verdict.find("KL "), std::string::npos) << verdict;
    EXPECT_NE(result.out.find(std::string(format) + ": " + verdict + "\n"), std::string::npos) << result.out;
    EXPECT_NE(markdown.find("| `" + std::string(format) + "` | " + verdict + " |"), std::string::npos);
  }
  std::vector<std::vector<std::string>> commands;
  std::istringstream lines(result.out);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("  qvl ")) continue;
    std::istringstream words(line.substr(6));
    auto& command_words = commands.emplace_back();
    for (std::string word; words >> word;) command_words.push_back(word);
  }
  ASSERT_EQ(commands.size(), report["next"].size());
  ASSERT_GE(commands.size(), 2U);
  for (auto& words : commands) {
    const bool plans = words.front() == "plan";
    // What the report says, told of its folder: the model is the one that was measured.
    if (plans) {
      words.emplace_back("--no-measure");
    } else {
      EXPECT_EQ(std::exchange(words[1], out("a")), model());
    }
    words.emplace_back("--quiet");
    const auto done = test::qvl(words);
    EXPECT_EQ(done.exit_code, 0) << done.err;
  }
  EXPECT_TRUE(fs::exists(fs::path(out("a")) / "quantized-plan" / "manifest.json"));
}

TEST_F(SensitivityTest, KilledTenTimesGivesTheReportOfAnUndisturbedRun) {
  const std::vector<std::string> exact{"--method", "exact"};
  (void)run("undisturbed", exact);
  int in_the_middle = 0;
  for (int kill_number = 0; kill_number < 10; ++kill_number) {
    const int child = test::start_qvl(command("killed", exact));
    usleep(static_cast<useconds_t>(60'000 + 47'000 * ((kill_number * 7) % 10)));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    in_the_middle += WIFSIGNALED(status) ? 1 : 0;
  }
  EXPECT_GT(in_the_middle, 0);
  (void)run("killed", exact);
  expect_same_reports("killed", "undisturbed");
  EXPECT_EQ(run("killed", exact)["measured"], 0);  // nothing is measured twice
}

TEST_F(SensitivityTest, ThreeShardsMergedAreOneRun) {
  for (const std::string method : {"exact", "fast", "auto"}) {
    (void)run("whole-" + method, {"--method", method, "--threads", "1"});
    std::vector<std::string> merge{"sensitivity", "merge", out("merged-" + method)};
    for (const char* shard : {"1", "2", "3"}) {
      const std::string name = method + "-" + shard;
      EXPECT_EQ(run(name, {"--method", method, "--shard", std::string(shard) + "/3"})["complete"], false);
      merge.push_back(out(name));
    }
    const auto merged = test::qvl(merge);
    EXPECT_EQ(merged.exit_code, 0) << merged.err;
    expect_same_reports("merged-" + method, "whole-" + method);
    merge.pop_back();
    merge[2] = out("without-" + method);
    refuse(merge, 3, "is missing");
  }
  refuse({"sensitivity", "merge", out("mixed"), out("exact-1"), out("fast-2")}, 3, "different runs");
  refuse({"sensitivity", "merge", out("none"), out("nothing")}, 3, "has no measurements.sqlite");
}

TEST_F(SensitivityTest, AnotherFormatOrSampleCostsOnlyWhatIsNew) {
  const std::vector<std::string> exact{"--method", "exact"};
  const auto first = run("a", exact)["measured"].get<int>();
  const auto more =
      run("a", {"--method", "exact", "--formats", "int8,int4:32,int8-dynamic"})["measured"].get<int>();
  EXPECT_EQ(more * 2, first - 4);  // two samples' unquantized numbers, two each, are there already
  (void)run("b", {"--method", "exact", "--formats", "int8,int4:32,int8-dynamic"});
  expect_same_reports("a", "b");
  const auto sample = run("a", {"--method", "exact", "--samples", "3"})["measured"].get<int>();
  EXPECT_LT(sample, first);
  EXPECT_GT(sample, 0);
}

TEST_F(SensitivityTest, MemoryIsObeyedOrRefusedWithWhatWouldDo) {
  const Json free = run("free", {"--method", "fast"});
  refuse(command("small", {"--memory", "20MB"}), 4, "MiB would");
  const Json limited = run("limited", {"--method", "fast", "--memory", "400MiB"});
  EXPECT_LT(limited["peak_bytes"].get<std::uint64_t>(), std::uint64_t{400} << 20U);
  expect_same_reports("free", "limited");
}

TEST_F(SensitivityTest, BadInputIsRefusedClearly) {
  refuse(command("x", {"--formats", "int3"}), 2, "int3");
  refuse(command("x", {"--formats", "int4"}), 2, "int4:32");
  refuse(command("x", {"--method", "quick"}), 2, "exact, fast, auto");
  refuse(command("x", {"--criterion", "hessian"}), 2, "nncf-mean-variance");
  refuse(command("x", {"--calibrate", "mean"}), 2, "mean");
  refuse(command("x", {"--units", "*nothing*"}), 2, "no unit is called *nothing*");
  refuse(command("x", {"--shard", "4/3"}), 2, "shard 4 of 3");
  refuse(command("x", {"--shard", "x"}), 2, "k/n is expected");
  refuse(command("x", {"--memory", "much"}), 2, "4GiB");
  refuse({"sensitivity", model(), "--data", out("none.jsonl"), "--out", out("x")}, 3, "does not exist");
  refuse({"sensitivity", out("none"), "--data", chats(), "--out", out("x")}, 3, "does not exist");
  refuse({"sensitivity", model(), "--data", model(), "--out", out("x")}, 3, "JSONL file of chats");
  refuse({"sensitivity", model()}, 2, "--data");
  const std::string resnet = test::data("foreign-onnx/resnet.onnx").string();
  refuse({"sensitivity", resnet, "--data", chats(), "--out", out("x")}, 3, "safetensors or npz");
}

TEST_F(SensitivityTest, MeasurementsOfAnotherModelAreNotTaken) {
  (void)run("a", {"--method", "fast"});
  const test::TemporaryFolder other;
  const auto made =
      test::qvl({"export", test::demo_checkpoint().string(), "--out", (other.path() / "model").string(),
                 "--only", "vision,text_with_image", "--image-size", "140", "--quiet"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  std::vector<std::string> arguments = command("a", {"--method", "fast"});
  arguments[1] = (other.path() / "model").string();
  refuse(arguments, 3, "holds measurements of");
}

TEST_F(SensitivityTest, BaselinesRankWithoutReplays) {
  for (const char* criterion : {"nncf-mean-variance", "weight-mse", "random"}) {
    (void)run(criterion, {"--criterion", criterion});
    const Json report = Json::parse(text_of(out(criterion) + "/report.json"));
    for (const Json& unit : report["units"]) {
      EXPECT_GE(unit["formats"]["int8"]["score"].get<double>(), 0) << criterion;
      EXPECT_TRUE(unit["formats"]["int8"]["in"].is_null()) << criterion;
    }
  }
}

}  // namespace
}  // namespace qvl
