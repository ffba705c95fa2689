// qvl quantize as scripts use it.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/program.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

class QuantizeTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new test::TemporaryFolder;
    const auto made = test::qvl({"export", test::demo_checkpoint().string(), "--out", model(), "--quiet"});
    ASSERT_EQ(made.exit_code, 0) << made.err;
  }
  static void TearDownTestSuite() {
    delete shared_;
    shared_ = nullptr;
  }
  static std::string model() { return (shared_->path() / "model").string(); }
  [[nodiscard]] std::string out(const std::string& name = "out") const {
    return (folder_.path() / name).string();
  }
  void refuse(std::vector<std::string> arguments, int code, const std::string& message) const {
    arguments.insert(arguments.begin(), "quantize");
    arguments.insert(arguments.end(), {"--out", out("refused"), "--quiet"});
    const auto result = test::qvl(arguments);
    EXPECT_EQ(result.exit_code, code) << result.err;
    EXPECT_NE(result.err.find(message), std::string::npos) << result.err;
    EXPECT_FALSE(fs::exists(out("refused")));
  }

  static test::TemporaryFolder* shared_;
  const test::TemporaryFolder folder_;
};
test::TemporaryFolder* QuantizeTest::shared_ = nullptr;

TEST_F(QuantizeTest, HelpHasAnExample) {
  const auto result = test::qvl({"quantize", "--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_NE(result.out.find("qvl quantize models/3b --plan plan.json"), std::string::npos);
}

TEST_F(QuantizeTest, TheResultIsAModelFolderForEveryCommand) {
  const auto result = test::qvl({"quantize", model(), "--format", "int4:32", "--embedding", "int8:32",
                                 "--out", out(), "--json", "--quiet"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  const Json summary = Json::parse(result.out);
  ASSERT_EQ(summary["files"].size(), 3U);
  for (const Json& file : summary["files"]) {
    EXPECT_TRUE(fs::exists(file["file"].get<std::string>()));
    EXPECT_LT(file["bytes_after"].get<int>(), file["bytes_before"].get<int>() / 2);
    EXPECT_EQ(file["quantized"], file["units"]);
  }
  const auto answer = test::qvl({"run", out(), "--image",
                                 (test::demo_checkpoint().parent_path() / "pictures/shapes.jpg").string(),
                                 "--prompt", "How many shapes are there?"});
  EXPECT_EQ(answer.out, "There are three shapes.\n") << answer.err;
  const auto verified =
      test::qvl({"verify", out(), "--checkpoint", test::demo_checkpoint().string(), "--quiet"});
  EXPECT_EQ(verified.exit_code, 0) << verified.out;
  const auto inspected = test::qvl({"inspect", out(), "--json"});
  ASSERT_EQ(inspected.exit_code, 0) << inspected.err;
  EXPECT_NE(inspected.out.find("com.microsoft::GatherBlockQuantized"), std::string::npos);
}

TEST_F(QuantizeTest, RefusesWithTheExitCodesOfOtherCommands) {
  refuse({model()}, 2, "--plan or --format is missing");
  refuse({model(), "--format", "int3:32"}, 2, "no format \"int3:32\"");
  refuse({model(), "--format", "int8", "--units", "nobody"}, 2, "no unit is called nobody");
  refuse({model(), "--format", "int8", "--algorithm", "magic"}, 2, "no weight algorithm \"magic\"");
  refuse({model(), "--format", "int8", "--smooth", "0.5"}, 2, "smooth");
  refuse({model(), "--format", "int8-dynamic", "--smooth", "2"}, 2, "--smooth 2");
  refuse({model(), "--format", "int4:32", "--algorithm", "gptq"}, 2, "--data is missing");
  refuse({"/nowhere", "--format", "int8"}, 3, "does not exist");
  refuse({test::demo_checkpoint().string(), "--format", "int8"}, 3, "manifest.json");
  test::write_file(folder_.path() / "broken.json", "{\"format\": 1, \"unit\": []}");
  refuse({model(), "--plan", (folder_.path() / "broken.json").string()}, 3, "unit");
}

// Killed at moments all over the run: no manifest is visible beside files that are not all there, and the
// next run is whole. Between two of the renames at its end a run may leave whole files without a manifest.
TEST_F(QuantizeTest, KilledRunsLeaveNothingHalf) {
  for (int i = 0; i < 8; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      (void)::freopen("/dev/null", "w", stdout);
      (void)::freopen("/dev/null", "w", stderr);
      ::execl(QVL_PROGRAM, QVL_PROGRAM, "quantize", model().c_str(), "--format", "int4:32", "--out",
              out().c_str(), nullptr);
      ::_exit(127);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(15 * i));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFEXITED(status)) break;  // it was faster
    if (!fs::exists(fs::path(out()) / "manifest.json")) continue;
    EXPECT_EQ(test::qvl({"verify", out(), "--no-run", "--quiet"}).exit_code, 0);
    break;
  }
  const auto result =
      test::qvl({"quantize", model(), "--format", "int4:32", "--out", out(), "--force", "--quiet"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const auto& entry : fs::directory_iterator(out()))
    EXPECT_FALSE(entry.path().filename().string().starts_with(".")) << entry.path();
  EXPECT_EQ(test::qvl({"verify", out(), "--no-run", "--quiet"}).exit_code, 0);
}

}  // namespace
}  // namespace qvl
