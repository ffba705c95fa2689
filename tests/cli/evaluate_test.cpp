// qvl evaluate as scripts use it.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "cli/program.h"
#include "core/json_text.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

// Before its handler is there, the signal would just end the program.
bool catches_interrupts(int process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("SigCgt:", 0) == 0)
      return (std::stoull(line.substr(7), nullptr, 16) >> (SIGINT - 1) & 1U) != 0;
  }
  return false;
}

class EvaluateCli : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new test::TemporaryFolder;
    make("half", {});
    make("full", {"--text-dtype", "f32"});
  }
  static void TearDownTestSuite() {
    delete shared_;
    shared_ = nullptr;
  }
  static void make(const std::string& name, const std::vector<std::string>& more) {
    std::vector<std::string> command{"export", test::demo_checkpoint(), "--out", folder(name), "--quiet",
                                     "--only", "vision,text_with_image"};
    command.insert(command.end(), more.begin(), more.end());
    const auto made = test::qvl(command);
    ASSERT_EQ(made.exit_code, 0) << made.err;
  }
  static std::string folder(const std::string& name) { return (shared_->path() / name).string(); }
  static std::string questions() { return test::data("shapes-data/evaluation.jsonl").string(); }
  static void refuse(const std::vector<std::string>& arguments, int code, const std::string& message) {
    const auto result = test::qvl(arguments);
    EXPECT_EQ(result.exit_code, code) << result.err;
    EXPECT_NE(result.err.find(message), std::string::npos) << result.err;
    EXPECT_EQ(result.out, "");
  }

  static test::TemporaryFolder* shared_;
};

test::TemporaryFolder* EvaluateCli::shared_ = nullptr;

// The second and third question, which the reference implementation answers as the data says.
TEST_F(EvaluateCli, JsonHasTheKeysThatScriptsRelyOn) {
  std::ifstream all(questions());
  std::string rows;
  std::string row;
  for (int i = 1; i <= 3 && std::getline(all, row); ++i) rows += i == 1 ? "" : row + "\n";
  const std::string data = folder("two.jsonl");
  fs::create_directory_symlink(test::data("shapes-data/images"), folder("images"));
  test::write_file(data, rows);
  const auto result = test::qvl({"evaluate", folder("full"), folder("half"), "--data", data, "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.err.find(folder("half") + ": 2 of 2 questions\n"), std::string::npos) << result.err;
  const Json json = parse_json(result.out, "out");
  EXPECT_EQ(json["data"], "two.jsonl");
  EXPECT_EQ(json["reference"], folder("full"));
  EXPECT_EQ(json["questions"], 2);
  EXPECT_EQ(json["known"], 2);
  EXPECT_EQ(json["positions"], 5 + 1 + 9 + 1);
  ASSERT_EQ(json["folders"].size(), 2U);
  const Json& full = json["folders"][0];
  const Json& half = json["folders"][1];
  EXPECT_EQ(full["folder"], folder("full"));
  EXPECT_EQ(full["exact"], 2);
  EXPECT_EQ(half["exact"], 2);
  EXPECT_EQ(half["same"], 2);
  EXPECT_EQ(half["top1"], 1.0);
  for (const char* key : {"kl", "kl_stderr", "kl_median", "kl_p99"}) {
    EXPECT_TRUE(full[key].is_null()) << key;
    EXPECT_TRUE(half[key].is_number()) << key;
  }
  EXPECT_GT(half["kl"], 0.0);
  EXPECT_LT(half["kl"], 1e-3);
  EXPECT_GT(full["bytes"], half["bytes"]);
  for (const char* key : {"seconds_per_answer", "seconds_per_answer_mean"}) EXPECT_GT(half[key], 0.0) << key;
}

TEST_F(EvaluateCli, PrintsATableWithARowForEachFolder) {
  const auto result = test::qvl({"evaluate", folder("half"), "--reference", folder("full"), "--data",
                                 questions(), "--samples", "2", "--no-answers", "--quiet"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.out.rfind("| folder ", 0), 0U) << result.out;
  EXPECT_EQ(std::ranges::count(result.out, '\n'), 2 + 2 + 2) << result.out;
  EXPECT_NE(result.out.find("| " + folder("full") + " |"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("| 100.00% |"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("evaluation.jsonl: 2 questions, 36 positions"), std::string::npos) << result.out;
}

TEST_F(EvaluateCli, BadInputIsRefusedClearly) {
  refuse({"evaluate", folder("none"), "--data", questions()}, 3, "has no manifest.json");
  refuse({"evaluate", folder("half"), "--data", folder("none.jsonl")}, 3, "none.jsonl");
  test::write_file(shared_->path() / "unknown.jsonl",
                   "{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}\n");
  refuse({"evaluate", folder("half"), "--data", folder("unknown.jsonl")}, 3, "has an answer or boxes");
  const auto cuda = test::qvl({"evaluate", folder("half"), "--data", questions(), "--samples", "1", "--quiet",
                               "--no-answers", "--provider", "cuda"});
  if (cuda.exit_code == 0) GTEST_SKIP() << "this machine has the CUDA provider";
  EXPECT_EQ(cuda.exit_code, 4);
  EXPECT_NE(cuda.err.find("CUDA"), std::string::npos) << cuda.err;
}

TEST_F(EvaluateCli, IsInterrupted) {
  const int child = test::start_qvl({"evaluate", folder("half"), "--data", questions()});
  for (int i = 0; i < 1000 && !catches_interrupts(child); ++i) usleep(10'000);
  usleep(100'000);  // into the work
  kill(child, SIGINT);
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
}

}  // namespace
}  // namespace qvl
