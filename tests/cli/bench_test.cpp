// `qvl bench`: what it prints, what it refuses, and that it leaves nothing behind.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/program.h"
#include "cli/sparse_checkpoint.h"
#include "core/json_text.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using test::qvl;

// A folder that holds a checkpoint, and the model folder that was exported from it.
const fs::path& root() {
  static const test::TemporaryFolder folder;
  static const fs::path made = [] {
    fs::copy(test::data("checkpoints/tiny-tied"), folder.path() / "tiny");
    const auto result = qvl(
        {"export", folder.path() / "tiny", "--out", folder.path() / "out", "--image-size", "56", "--quiet"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return folder.path();
  }();
  return made;
}

// The command with the options that make it short.
std::vector<std::string> quick(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "bench");
  for (const char* option : {"--runs", "2", "--warm-up", "0", "--limits-seconds", "0.01"})
    arguments.emplace_back(option);
  return arguments;
}

Json json_of(std::vector<std::string> arguments) {
  arguments = quick(std::move(arguments));
  arguments.emplace_back("--json");
  arguments.emplace_back("--quiet");
  const auto result = qvl(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  return parse_json(result.out, "out");
}

std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

void expect_times(const Json& samples) {
  EXPECT_EQ(samples["values"].size(), 2U) << samples;
  EXPECT_GT(samples["min"], 0);
  EXPECT_LE(samples["min"], samples["median"]);
  EXPECT_LE(samples["median"], samples["max"]);
  EXPECT_GE(samples["spread"], 0);
}

void expect_limits(const Json& json, const std::vector<std::string>& names) {
  EXPECT_EQ(json["limits"].size(), names.size()) << json["limits"];
  for (const std::string& name : names) {
    EXPECT_GT(json["limits"][name]["before"], 0) << name;
    EXPECT_GT(json["limits"][name]["after"], 0) << name;
  }
  EXPECT_EQ(json["runs"], 2);
  EXPECT_GE(json["machine"]["processors"], 1);
}

const std::vector<std::string> kMemoryLimits{"memory_read_bytes_per_s", "memory_copy_bytes_per_s"};
const std::vector<std::string> kModelLimits{"memory_read_bytes_per_s", "memory_copy_bytes_per_s",
                                            "f32_flop_per_s"};

TEST(Bench, ExportBesideCpLeavesNothing) {
  const std::size_t before = entries(root());
  const Json json = json_of({"export", root() / "tiny", "--image-size", "56"});
  EXPECT_EQ(json["bench"], "export");
  EXPECT_EQ(json["folder"], fs::canonical(root()).string());
  expect_times(json["export"]["seconds"]);
  expect_times(json["cp"]["seconds"]);
  expect_times(json["export_by_cp"]);
  EXPECT_EQ(json["export_by_cp"]["values"][0].get<double>(),
            json["export"]["seconds"]["values"][0].get<double>() /
                json["cp"]["seconds"]["values"][0].get<double>());
  EXPECT_GT(json["export"]["peak_memory_bytes"], 1'000'000);
  EXPECT_GT(json["export"]["share_of_limit"], 0);
  EXPECT_GT(json["limits"]["disk_buffered_bytes_per_s"]["before"], 0);
  EXPECT_EQ(entries(root()), before);
  // The bytes are those of an export, hard links once.
  std::uint64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(root() / "out"))
    bytes += entry.file_size() / (entry.hard_link_count() > 1 ? entry.hard_link_count() : 1);
  EXPECT_EQ(json["bytes"].get<std::uint64_t>(), bytes);
}

TEST(Bench, ExportTakesTheOptionsOfAnExport) {
  const test::TemporaryFolder folder;
  const fs::path out = folder.path() / "a" / "b";
  const Json json =
      json_of({"export", root() / "tiny", "--out", out, "--only", "text,text_with_image", "--text-dtype",
               "f32", "--mask-type", "bool", "--threads", "1", "--image-size", "56x28"});
  EXPECT_FALSE(fs::exists(folder.path() / "a"));
  const Json less = json_of({"export", "--out", out, "--only", "text", root() / "tiny"});
  // Two copies in f32 instead of one file in f16, and one graph more.
  const auto half_bytes = fs::file_size(root() / "out" / "tiny_text_fp16.onnx_data");
  EXPECT_EQ(json["files"].get<int>(), less["files"].get<int>() + 2);
  EXPECT_GE(json["bytes"].get<std::uint64_t>(), less["bytes"].get<std::uint64_t>() + 3 * half_bytes - 65536);
  // Both names of one file, without the second table.
  const Json shared = json_of({"export", "--out", out, "--only", "text,text_with_image", "--tied-head",
                               "--hard-link", root() / "tiny"});
  EXPECT_EQ(shared["files"].get<int>(), less["files"].get<int>() + 1);
  EXPECT_LT(shared["bytes"].get<std::uint64_t>(), less["bytes"].get<std::uint64_t>());
}

TEST(Bench, Vision) {
  const Json json = json_of({"vision", root() / "out", "--threads", "1"});
  EXPECT_EQ(json["bench"], "vision");
  EXPECT_EQ(json["onnx_runtime"]["threads"], 1);
  EXPECT_GT(json["load"]["seconds"], 0);
  ASSERT_EQ(json["rows"].size(), 1U);
  expect_times(json["rows"][0]["seconds"]);
  EXPECT_EQ(json["rows"][0]["tokens"], 4);
  for (const char* field : {"flop_per_s", "share_of_arithmetic", "share_of_memory"})
    EXPECT_GT(json["rows"][0][field], 0) << field;
  for (const char* field : {"resident_bytes", "rss_anon_bytes", "rss_file_bytes"})
    EXPECT_GT(json["rows"][0]["memory"][field], 0) << field;
  expect_limits(json, kModelLimits);
}

TEST(Bench, TextWithOptionsOfOnnxRuntime) {
  const Json json =
      json_of({"text", "--tokens", "1,7", root() / "out", "--artifact", "text_with_image", "--optimization",
               "extended", "--no-prepacking", "--no-arena", "--memory-pattern", "--config",
               "session.intra_op.allow_spinning=0", "--config", "x=y=z"});
  ASSERT_EQ(json["rows"].size(), 2U);
  EXPECT_EQ(json["rows"][1]["tokens"], 7);
  expect_times(json["rows"][1]["seconds"]);
  EXPECT_EQ(json["artifact"], "text_with_image");
  const Json& runtime = json["onnx_runtime"];
  EXPECT_EQ(runtime["optimization"], "extended");
  EXPECT_EQ(runtime["memory_arena"], false);
  EXPECT_EQ(runtime["memory_pattern"], true);
  EXPECT_EQ(
      runtime["config"],
      Json::parse(
          R"({"session.disable_prepacking": "1", "session.intra_op.allow_spinning": "0", "x": "y=z"})"));
  expect_limits(json, kModelLimits);
}

TEST(Bench, TokenizerAndImage) {
  const Json tokenizer = json_of({"tokenizer", root() / "out", "--text", root() / "out" / "tokenizer.json"});
  expect_times(tokenizer["encode"]["seconds"]);
  expect_times(tokenizer["decode"]["seconds"]);
  EXPECT_EQ(tokenizer["text_bytes"], fs::file_size(root() / "out" / "tokenizer.json"));
  expect_limits(tokenizer, kMemoryLimits);
  const Json image = json_of({"image", test::data("picture-files/exif-6.jpg"), "--image-size", "56x28"});
  for (const char* step : {"decode", "resize", "normalise", "patches", "all"})
    expect_times(image["steps"][step]["seconds"]);
  EXPECT_EQ(image["source"]["width"], 108);
  EXPECT_EQ(image["resized"]["width"], 56);
  expect_limits(image, kMemoryLimits);
}

// Every line of every table has the same width, so that it can be read and pasted.
TEST(Bench, TablesAreAligned) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"text", root() / "out", "--tokens", "1,40"}, {"image"}}) {
    const auto result = qvl(quick(arguments));
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_TRUE(result.out.starts_with("- qvl ")) << result.out;
    EXPECT_NE(result.err.find("limit of the memory"), std::string::npos) << result.err;
    std::size_t width = 0;
    std::size_t tables = 0;
    std::istringstream lines(result.out);
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with("|")) {
        width = 0;
        continue;
      }
      const auto characters = static_cast<std::size_t>(std::ranges::count_if(
          line, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
      tables += width == 0 ? 1 : 0;
      if (width != 0) {
        EXPECT_EQ(characters, width) << line;
      }
      width = characters;
    }
    EXPECT_EQ(tables, 2U) << result.out;
  }
}

TEST(Bench, WithoutLimitsThereAreNone) {
  const auto result =
      qvl({"bench", "text", root() / "out", "--runs", "1", "--limits-seconds", "0", "--tokens", "2"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out.find("limit of the machine"), std::string::npos) << result.out;
}

TEST(Bench, EveryKindHasHelpWithAnExample) {
  for (const std::string kind : {"export", "vision", "text", "tokenizer", "image"}) {
    const auto result = qvl({"bench", kind, "--help"});
    EXPECT_EQ(result.exit_code, 0) << kind;
    EXPECT_NE(result.out.find("Example:\n  qvl bench " + kind), std::string::npos) << result.out;
  }
}

TEST(Bench, RefusesWhatMakesNoSense) {
  struct Case {
    int exit_code;
    std::vector<std::string> arguments;
    std::string message;
  };
  const std::string out = root() / "out";
  const std::string tiny = root() / "tiny";
  for (const Case& c :
       std::vector<Case>{{2, {}, "a command is missing"},
                         {2, {"text"}, "FOLDER"},
                         {2, {"text", out, "--runs", "0"}, "--runs"},
                         {2, {"text", out, "--tokens", "0"}, "0 tokens"},
                         {2, {"text", out, "--tokens", "1,9999999"}, "9999999 tokens"},
                         {2, {"text", out, "--tokens", "many"}, "--tokens"},
                         {2, {"text", out, "--artifact", "audio"}, "--artifact"},
                         {2, {"text", out, "--config", "novalue"}, "KEY=VALUE"},
                         {2, {"text", out, "--optimization", "most"}, "--optimization"},
                         {2, {"text", out, "--limits-seconds", "-1"}, "--limits-seconds"},
                         {2, {"image", "--image-size", "30"}, "multiples of 28"},
                         {2, {"export", tiny, "--only", "audio"}, "audio"},
                         {2, {"export", tiny, "--image-size", "30", "--limits-seconds", "0"}, "28"},
                         {3, {"text", tiny}, "manifest.json"},
                         {3, {"vision", "/none"}, "manifest.json"},
                         {3, {"tokenizer", "/none"}, "tokenizer.json"},
                         {3, {"tokenizer", tiny, "--text", "/none"}, "/none"},
                         {3, {"image", "/none.png"}, "/none.png"},
                         {3, {"export", "/none"}, "/none"},
                         {3, {"export", tiny, "--out", "/proc/none"}, "/proc/none"}}) {
    std::vector<std::string> arguments{"bench"};
    arguments.insert(arguments.end(), c.arguments.begin(), c.arguments.end());
    const auto result = qvl(arguments);
    EXPECT_EQ(result.exit_code, c.exit_code) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_NE(result.err.find(c.message), std::string::npos) << c.message << "\n" << result.err;
  }
  EXPECT_EQ(entries(root()), 2U);
  const auto no_cp = test::run_command({test::program(), "bench", "export", tiny}, "", {"PATH=/none"});
  EXPECT_EQ(no_cp.exit_code, 4);
  EXPECT_NE(no_cp.err.find("cp"), std::string::npos) << no_cp.err;
}

// The children end with it: nothing writes into the folder afterwards.
TEST(Bench, CtrlCLeavesNothingBehind) {
  const test::TemporaryFolder folder;
  test::write_sparse_checkpoint(folder.path() / "slow", 400'000);
  const fs::path out = folder.path() / "out";
  const int child =
      test::start_qvl({"bench", "export", folder.path() / "slow", "--out", out, "--runs", "100"});
  const auto at_work = [&] {
    if (!fs::exists(out)) return false;
    for (const auto& entry : fs::directory_iterator(out)) {
      if (fs::exists(entry.path() / "export") && !fs::is_empty(entry.path() / "export")) return true;
    }
    return false;
  };
  for (int i = 0; i < 2000 && !at_work(); ++i) usleep(5000);
  EXPECT_TRUE(at_work());
  kill(child, SIGINT);
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_FALSE(fs::exists(out));
}

}  // namespace
}  // namespace qvl
