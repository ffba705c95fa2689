// Exports that are killed or interrupted, and what an export holds in memory.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/program.h"
#include "cli/sparse_checkpoint.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kLargeVocabulary = 400000;

std::vector<std::string> visible(const fs::path& folder) {
  std::vector<std::string> names;
  if (!fs::exists(folder)) return names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.path().filename().string().starts_with('.')) names.push_back(entry.path().filename());
  }
  return names;
}

// Hidden folders in which an export has begun to write.
std::size_t halves(const fs::path& folder) {
  std::size_t count = 0;
  if (!fs::exists(folder)) return count;
  for (const auto& entry : fs::directory_iterator(folder)) {
    count += entry.path().filename().string().starts_with(".qvl-partial-") && !fs::is_empty(entry.path())
                 ? 1U
                 : 0U;
  }
  return count;
}

TEST(Interruption, AfterKillNothingHalfIsVisibleAndTheNextExportSucceeds) {
  const test::TemporaryFolder folder;
  test::write_sparse_checkpoint(folder.path() / "slow", kLargeVocabulary);
  const fs::path out = folder.path() / "out";
  bool caught_in_the_middle = false;
  for (int milliseconds = 10; milliseconds <= 1280 && !caught_in_the_middle;
       milliseconds += milliseconds / 2) {
    const int child = test::start_qvl({"export", folder.path() / "slow", "--out", out, "--quiet", "--force"});
    usleep(static_cast<useconds_t>(milliseconds) * 1000);
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    if (!WIFSIGNALED(status)) break;  // it was done before
    EXPECT_EQ(visible(out), std::vector<std::string>{}) << milliseconds;
    caught_in_the_middle = halves(out) > 0;
  }
  EXPECT_TRUE(caught_in_the_middle);
  const auto result = test::qvl({"export", folder.path() / "slow", "--out", out, "--quiet", "--force"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(halves(out), 0U);
  EXPECT_EQ(visible(out).size(), 6U + 4U + 1U);
}

// A picture of which the decoding alone takes longer.
TEST(Interruption, BenchOfAPictureEndsWithinASecond) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"bench", "image", "--image-size", "9996", "--runs", "10000"},
           {"bench", "tokenizer", test::demo_checkpoint(), "--runs", "10000"}}) {
    const int child = test::start_qvl(arguments);
    usleep(700'000);
    kill(child, SIGINT);
    int status = 0;
    int waited_ms = 0;
    while (waitpid(child, &status, WNOHANG) == 0 && waited_ms < 20'000) {
      usleep(10'000);
      waited_ms += 10;
    }
    EXPECT_LE(waited_ms, 1000) << arguments[1];
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 130) << arguments[1];
  }
}

// An export over an older one: until the last moment the old one is what is seen, whole.
TEST(Interruption, AfterKillTheOldExportIsThere) {
  const test::TemporaryFolder folder;
  test::write_sparse_checkpoint(folder.path() / "slow", kLargeVocabulary);
  const fs::path out = folder.path() / "out";
  ASSERT_EQ(test::qvl({"export", test::demo_checkpoint(), "--out", out, "--quiet"}).exit_code, 0);
  const std::vector<std::string> question{"run", out, "--prompt", "Hi", "--max-new-tokens", "2"};
  const std::string before = test::qvl(question).out;
  const int child = test::start_qvl({"export", folder.path() / "slow", "--out", out, "--quiet", "--force"});
  for (int i = 0; i < 500 && halves(out) == 0; ++i) usleep(2000);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_EQ(halves(out), 1U);
  EXPECT_EQ(test::qvl(question).out, before);
  ASSERT_EQ(test::qvl({"export", folder.path() / "slow", "--out", out, "--quiet", "--force"}).exit_code, 0);
  EXPECT_EQ(visible(out).size(), 6U + 4U + 1U);  // nothing of the old one
}

TEST(Interruption, CtrlCLeavesNothingBehind) {
  const test::TemporaryFolder folder;
  test::write_sparse_checkpoint(folder.path() / "slow", kLargeVocabulary);
  const fs::path out = folder.path() / "out";
  bool caught = false;
  for (int milliseconds = 30; milliseconds <= 480 && !caught; milliseconds *= 2) {
    fs::remove_all(out);
    const int child = test::start_qvl({"export", folder.path() / "slow", "--out", out, "--quiet"});
    usleep(static_cast<useconds_t>(milliseconds) * 1000);
    kill(child, SIGINT);
    int status = 0;
    waitpid(child, &status, 0);
    if (!WIFEXITED(status)) continue;  // before the handler was there
    if (WEXITSTATUS(status) == 130) {
      caught = true;
      EXPECT_FALSE(fs::exists(out));
    }
  }
  EXPECT_TRUE(caught);
}

// The bar is for any size of model: here the data file has 0.9 GB, and four threads widen to f32, the most
// that is held.
TEST(Memory, ExportHoldsAtMost512MiB) {
  const test::TemporaryFolder folder;
  test::write_sparse_checkpoint(folder.path() / "large", 600000);
  const int child = test::start_qvl({"export", folder.path() / "large", "--out", folder.path() / "out",
                                     "--quiet", "--only", "text", "--text-dtype", "f32", "--threads", "4"});
  int status = 0;
  rusage usage{};
  ASSERT_EQ(wait4(child, &status, 0, &usage), child);
  ASSERT_EQ(WEXITSTATUS(status), 0);
  EXPECT_GT(fs::file_size(folder.path() / "out" / "large_text_fp32.onnx_data"), 900U * 1000 * 1000);
  EXPECT_LE(usage.ru_maxrss, 512 * 1024);  // KiB; the pages of mapped files count
}

}  // namespace
}  // namespace qvl
