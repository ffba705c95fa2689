// `qvl synth` as scripts use it.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <regex>

#include "cli/program.h"
#include "core/json_text.h"
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

// Whatever the checkpoint's dtype and files: the artifacts hold its weights, bit for bit after the
// conversion.
TEST(SynthCommand, ExportsOfEveryDtypeAndShardingVerify) {
  const test::TemporaryFolder folder;
  for (const std::string dtype : {"bf16", "f16", "f32"}) {
    for (const std::string shards : {"1", "3", "92"}) {
      const std::string name = dtype + "-" + shards;
      const fs::path checkpoint = folder.path() / ("random-" + name);
      ASSERT_EQ(qvl({"synth", "--preset", "tiny", "--out", checkpoint, "--dtype", dtype, "--shards", shards,
                     "--quiet"})
                    .exit_code,
                0);
      std::vector<std::string> exporting{"export",       checkpoint, "--out",  folder.path() / name,
                                         "--image-size", "56",       "--quiet"};
      if (shards == "3") exporting.insert(exporting.end(), {"--text-dtype", "f32"});
      const auto exported = qvl(exporting);
      ASSERT_EQ(exported.exit_code, 0) << exported.err;
      std::vector<std::string> verifying{"verify", folder.path() / name, "--checkpoint", checkpoint,
                                         "--quiet"};
      if (dtype != "bf16") verifying.emplace_back("--no-run");  // the runs are the same for all
      const auto verified = qvl(verifying);
      EXPECT_EQ(verified.exit_code, 0) << name << "\n" << verified.out;
      EXPECT_TRUE(std::regex_search(verified.out, std::regex("weights.text_with_image +ok"))) << verified.out;
    }
  }
}

// What an export of a preset takes is known without a checkpoint, to the byte.
TEST(SynthCommand, DryRunOfAPresetIsThatOfItsCheckpoint) {
  const test::TemporaryFolder folder;
  const fs::path checkpoint = folder.path() / "qvl-tiny";
  ASSERT_EQ(qvl({"synth", "--preset", "tiny", "--out", checkpoint, "--quiet"}).exit_code, 0);
  const auto files = [](const test::ProgramResult& result) {
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return Json::parse(result.out)["files"];
  };
  const Json planned = files(qvl({"export", "--preset", "tiny", "--dry-run", "--json"}));
  EXPECT_EQ(planned, files(qvl({"export", checkpoint, "--dry-run", "--json"})));
  EXPECT_EQ(planned, files(qvl({"export", checkpoint, "--dry-run", "--json", "--force-memory"})));
  ASSERT_EQ(qvl({"export", checkpoint, "--out", folder.path() / "out", "--quiet"}).exit_code, 0);
  for (const Json& file : planned)
    EXPECT_EQ(fs::file_size(folder.path() / "out" / file["name"]), file["bytes"]) << file;
}

// Counted by hand: f16 weights of the decoder, f32 weights and tables of the vision encoder, aligned.
TEST(SynthCommand, DryRunKnowsTheLargestSize) {
  const auto result = qvl({"export", "--preset", "72b", "--dry-run", "--json"});
  const Json estimate = Json::parse(result.out);
  EXPECT_EQ(result.exit_code, estimate["disk"]["fits"] && estimate["memory"]["fits"] ? 0 : 4);
  std::map<std::string, std::uint64_t> bytes;
  for (const Json& file : estimate["files"]) bytes[file["name"]] = file["bytes"];
  constexpr std::uint64_t kParameters = 72'705'679'360;  // of the decoder
  const std::uint64_t text = bytes.at("qwen2_5_vl_72b_text_fp16.onnx_data");
  EXPECT_GE(text, 2 * kParameters);
  EXPECT_LT(text, 2 * kParameters + 4096 * 2000);
  EXPECT_LT(estimate["memory"]["bytes"], std::uint64_t{512} << 20U);
}

TEST(SynthCommand, DryRunRefusesWhatDoesNotGoTogether) {
  for (const std::vector<std::string>& options :
       std::vector<std::vector<std::string>>{{"export", "--dry-run"},
                                             {"export", "--preset", "tiny", "--out", "x"},
                                             {"export", "--preset", "1b", "--dry-run"},
                                             {"export", "--preset", "tiny", "--force-memory"},
                                             {"export", "folder", "--preset", "tiny", "--dry-run"},
                                             {"export", test::demo_checkpoint()},
                                             {"export", test::demo_checkpoint(), "--out", "x", "--json"}}) {
    const auto result = qvl(options);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_EQ(result.out, "");
  }
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
                                             {"--preset", "tiny", "--out", out, "--layers", "99"},
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
