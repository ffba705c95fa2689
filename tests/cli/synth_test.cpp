// `qvl synth` as scripts use it.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <regex>

#include "cli/program.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using test::qvl;

TEST(SynthCommand, MakesACheckpointThatTheOtherCommandsTake) {
  const test::TemporaryFolder folder;
  const fs::path checkpoint = folder.path() / "random";
  const auto made = qvl({"synth", "--preset", "tiny", "--out", checkpoint, "--seed", "3", "--dtype", "f16",
                         "--shards", "2", "--quiet"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(made.out, checkpoint.string() + "\n");
  EXPECT_EQ(made.err, "");
  EXPECT_EQ(qvl({"tokenize", checkpoint, "Hi"}).out, "{\"ids\":[39,72],\"tokens\":[\"H\",\"i\"]}\n");
  test::write_file(folder.path() / "chat.json", R"([{"role": "user", "content": "Hi"}])");
  EXPECT_EQ(qvl({"render-chat", checkpoint, "--messages", folder.path() / "chat.json"}).exit_code, 0);

  const fs::path model = folder.path() / "model";
  const auto exported = qvl({"export", checkpoint, "--out", model, "--image-size", "140", "--quiet"});
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  const auto answer = qvl({"run", model, "--image", test::data("images/photo-56x56.png"), "--prompt",
                           "What is it?", "--max-new-tokens", "4", "--json"});
  ASSERT_EQ(answer.exit_code, 0) << answer.err;
  EXPECT_NE(answer.out.find("\"image_tokens\":25"), std::string::npos) << answer.out;
}

TEST(SynthCommand, WrongUsageIsTwo) {
  const test::TemporaryFolder folder;
  const std::string out = folder.path() / "x";
  for (const std::vector<std::string>& options :
       std::vector<std::vector<std::string>>{{"--out", out},
                                             {"--preset", "tiny"},
                                             {"--preset", "1b", "--out", out},
                                             {"--preset", "tiny", "--out", out, "--dtype", "int8"},
                                             {"--preset", "tiny", "--out", out, "--seed", "x"},
                                             {"--preset", "tiny", "--out", out, "--shards", "0"},
                                             {"--preset", "tiny", "--out", out, "--shards", "93"},
                                             {"--preset", "tiny", "--out", out, "--threads", "-1"}}) {
    std::vector<std::string> arguments{"synth"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const auto result = qvl(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_NE(result.err, "");
    EXPECT_FALSE(fs::exists(out));
  }
}

TEST(SynthCommand, BadInputIsThree) {
  const test::TemporaryFolder folder;
  const std::string out = folder.path() / "x";
  const auto tokenizer = qvl({"synth", "--preset", "3b", "--out", out, "--quiet", "--tokenizer",
                              test::demo_checkpoint() / "tokenizer.json"});
  EXPECT_EQ(tokenizer.exit_code, 3);
  EXPECT_NE(tokenizer.err.find("<|image_pad|> has the id 771; config.json says 151655"), std::string::npos)
      << tokenizer.err;
  EXPECT_FALSE(fs::exists(out));
  ASSERT_EQ(qvl({"synth", "--preset", "tiny", "--out", out, "--quiet"}).exit_code, 0);
  const auto again = qvl({"synth", "--preset", "tiny", "--out", out, "--quiet"});
  EXPECT_EQ(again.exit_code, 3);
  EXPECT_NE(again.err.find("config.json is there already; --force"), std::string::npos) << again.err;
  EXPECT_EQ(qvl({"synth", "--preset", "tiny", "--out", out, "--quiet", "--force"}).exit_code, 0);
}

TEST(SynthCommand, AFullDiskIsFourAndBothNumbersAreTold) {
  const test::TemporaryFolder folder;
  const fs::path mount_point = folder.path() / "m";
  const auto result = test::qvl_on_tmpfs(mount_point, "size=1m",
                                         {"synth", "--preset", "3b", "--out", mount_point / "x", "--quiet"},
                                         "ls -A '" + mount_point.string() + "'");
  if (test::cannot_mount(result)) GTEST_SKIP() << "no tmpfs can be mounted here: " << result.err;
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_EQ(result.out, "");
  std::smatch numbers;
  ASSERT_TRUE(std::regex_search(result.err, numbers, std::regex("takes (\\d+) bytes, (\\d+) are free")))
      << result.err;
  EXPECT_GT(std::stoull(numbers[1]), 2U * 3754622976);  // bf16
  EXPECT_LE(std::stoull(numbers[2]), 1024U * 1024U);
}

// Sends a signal to a run that has begun to write, and tells how it ended; -1 when it was always too late.
int interrupt(const fs::path& out, int signal) {
  for (int attempt = 0; attempt < 300; ++attempt) {
    fs::remove_all(out);
    const int child = test::start_qvl(
        {"synth", "--preset", "tiny", "--out", out, "--quiet", "--dtype", "f32", "--shards", "92"});
    int status = 0;
    bool ended = false;
    while (!fs::exists(out) && !ended) ended = waitpid(child, &status, WNOHANG) != 0;
    kill(child, signal);
    if (!ended) waitpid(child, &status, 0);
    if (WIFSIGNALED(status) || WEXITSTATUS(status) != 0) return status;
  }
  return -1;
}

TEST(SynthCommand, CtrlCLeavesNothingBehind) {
  const test::TemporaryFolder folder;
  const int status = interrupt(folder.path() / "out", SIGINT);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_FALSE(fs::exists(folder.path() / "out"));
}

TEST(SynthCommand, AfterKillNothingHalfIsVisibleAndTheNextRunSucceeds) {
  const test::TemporaryFolder folder;
  const fs::path out = folder.path() / "out";
  ASSERT_TRUE(WIFSIGNALED(interrupt(out, SIGKILL)));
  EXPECT_FALSE(fs::exists(out / "config.json"));
  const auto result = qvl({"synth", "--preset", "tiny", "--out", out, "--quiet", "--force"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  for (const auto& entry : fs::directory_iterator(out)) {
    EXPECT_FALSE(entry.path().filename().string().starts_with('.')) << entry.path();
  }
}

}  // namespace
}  // namespace qvl
