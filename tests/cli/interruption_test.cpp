// Killed or interrupted exports.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "checkpoint/checkpoint.h"
#include "checkpoint/safetensors_writer.h"
#include "cli/program.h"
#include "core/json_text.h"
#include "qwen25vl/tensor_table.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

// The demo checkpoint with a larger vocabulary, so that its export takes long enough to be caught in the
// middle.
void write_slow_checkpoint(const fs::path& folder) {
  fs::create_directories(folder);
  for (const char* file :
       {"config.json", "tokenizer.json", "preprocessor_config.json", "generation_config.json"}) {
    fs::copy(test::demo_checkpoint() / file, folder / file);
  }
  Json config = read_json_file(folder / "config.json");
  config["vocab_size"] = 400000;
  config["tie_word_embeddings"] = false;
  test::write_file(folder / "config.json", config.dump());
  const ModelConfig model = read_model_config(folder / "config.json");
  std::vector<Tensor> tensors;
  std::vector<NamedTensor> named;
  const TensorTable table(model);
  tensors.reserve(table.rows().size());
  for (const TensorRow& row : table.rows()) {
    tensors.emplace_back(DType::bf16, row.shape);
    named.push_back({row.name, tensors.back().view()});
  }
  write_safetensors(folder / "model.safetensors", named);
}

std::vector<std::string> visible(const fs::path& folder) {
  std::vector<std::string> names;
  if (!fs::exists(folder)) return names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.path().filename().string().starts_with('.')) names.push_back(entry.path().filename());
  }
  return names;
}

TEST(Interruption, AfterKillNothingHalfIsVisibleAndTheNextExportSucceeds) {
  const test::TemporaryFolder folder;
  write_slow_checkpoint(folder.path() / "slow");
  const fs::path out = folder.path() / "out";
  std::size_t caught = 0;
  for (const int milliseconds : {5, 20, 40, 80, 120, 200}) {
    const int child = test::start_qvl({"export", folder.path() / "slow", "--out", out, "--quiet", "--force"});
    usleep(static_cast<useconds_t>(milliseconds) * 1000);
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    if (!WIFSIGNALED(status)) break;  // it was done before: nothing to see beyond
    ++caught;
    EXPECT_EQ(visible(out), std::vector<std::string>{}) << milliseconds;
  }
  EXPECT_GE(caught, 3U);
  const auto result = test::qvl({"export", folder.path() / "slow", "--out", out, "--quiet", "--force"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  std::size_t all = 0;
  for (const auto& entry : fs::directory_iterator(out)) {
    EXPECT_FALSE(entry.path().filename().string().starts_with('.')) << entry.path();
    ++all;
  }
  EXPECT_EQ(all, 6U + 4U + 1U);
}

TEST(Interruption, CtrlCLeavesNothingBehind) {
  const test::TemporaryFolder folder;
  write_slow_checkpoint(folder.path() / "slow");
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

}  // namespace
}  // namespace qvl
