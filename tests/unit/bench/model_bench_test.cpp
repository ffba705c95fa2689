#include "bench/model_bench.h"

#include <gtest/gtest.h>

#include "engine/session_defaults.h"
#include "qvl/error.h"
#include "qvl/export.h"
#include "runtime/library.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

fs::path exported(const fs::path& folder, std::vector<std::string> only, MaskType mask_type) {
  ExportOptions options;
  options.checkpoint = test::data("checkpoints/tiny-sharded");
  options.out = folder;
  options.only = std::move(only);
  options.image_width_pixels = 56;
  options.image_height_pixels = 84;
  options.mask_type = mask_type;
  export_checkpoint(options);
  return folder;
}

const fs::path& folder() {
  static const test::TemporaryFolder root;
  static const fs::path out = exported(root.path() / "out", {}, MaskType::int64);
  return out;
}

ModelBenchOptions quick(const fs::path& model_folder, std::vector<std::int64_t> tokens = {}) {
  ModelBenchOptions options;
  options.folder = model_folder;
  options.tokens = std::move(tokens);
  options.session = engine_session_options(Provider::cpu, 1);
  options.runs = {.warm_up = 0, .runs = 2, .least_seconds = 0};
  options.limits_seconds = 0;
  return options;
}

TEST(ModelBench, Vision) {
  const ModelBenchResult result = bench_vision(quick(folder()));
  EXPECT_EQ(result.artifact, "vision");
  EXPECT_EQ(result.runtime_version, runtime_version());
  EXPECT_EQ(result.provider, "CPUExecutionProvider");
  EXPECT_EQ(result.threads, 1);
  EXPECT_GT(result.load_seconds, 0);
  EXPECT_GT(result.file_bytes, fs::file_size(result.file));
  ASSERT_EQ(result.rows.size(), 1U);
  EXPECT_EQ(result.rows[0].tokens, 2 * 3);
  EXPECT_EQ(result.rows[0].seconds.values().size(), 2U);
  EXPECT_GT(result.rows[0].flop_per_second(), 0);
  EXPECT_GT(*result.rows[0].most.anonymous, 0U);
  EXPECT_GT(*result.after_load.file, 0U);
}

TEST(ModelBench, TextOfSeveralLengthsAndBothArtifacts) {
  const ModelBenchResult text = bench_text(quick(folder(), {1, 9}));
  EXPECT_EQ(text.artifact, "text");
  ASSERT_EQ(text.rows.size(), 2U);
  EXPECT_EQ(text.rows[1].tokens, 9);
  EXPECT_EQ(text.rows[1].work.linear_flop, 9 * text.rows[0].work.linear_flop);
  ModelBenchOptions with_image = quick(folder(), {5});
  with_image.artifact = "text_with_image";
  with_image.session.optimization = GraphOptimization::basic;
  with_image.session.config = {{"session.disable_prepacking", "1"}};
  EXPECT_EQ(bench_text(with_image).file.filename(), "tiny_sharded_text_with_image_fp16.onnx");
}

TEST(ModelBench, TakesWhatTheFolderHas) {
  const test::TemporaryFolder root;
  const fs::path out = exported(root.path() / "out", {"text_with_image"}, MaskType::boolean);
  EXPECT_EQ(bench_text(quick(out, {3})).artifact, "text_with_image");
  EXPECT_THROW((void)bench_vision(quick(out)), InputError);
}

TEST(ModelBench, RefusesWhatMakesNoSense) {
  EXPECT_THROW((void)bench_vision(quick("/none")), InputError);
  for (const std::vector<std::int64_t>& tokens :
       std::vector<std::vector<std::int64_t>>{{}, {0}, {3, -1}, {4097}}) {
    EXPECT_THROW((void)bench_text(quick(folder(), tokens)), UsageError);
  }
  ModelBenchOptions options = quick(folder(), {1});
  options.artifact = "vision";
  EXPECT_THROW((void)bench_text(options), UsageError);
  options = quick(folder(), {1});
  options.runs.runs = 0;
  EXPECT_THROW((void)bench_text(options), UsageError);
  CancelToken cancel;
  cancel.cancel();
  options = quick(folder(), {1});
  options.runs.cancel = &cancel;
  EXPECT_THROW((void)bench_text(options), Interrupted);
}

TEST(ModelBench, TheLongerOfBothLimitsBinds) {
  ModelRow row;
  row.seconds.add(2);
  row.work = {.linear_flop = 100, .attention_flop = 0, .weight_bytes = 10};
  EXPECT_EQ(row.flop_per_second(), 50);
  EXPECT_EQ(row.weight_bytes_per_second(), 5);
  MachineLimits limits;
  limits.f32_flop = 100;
  limits.memory_read_bytes = 100;
  EXPECT_TRUE(row.bound_by_arithmetic(limits));
  limits.memory_read_bytes = 9;
  EXPECT_FALSE(row.bound_by_arithmetic(limits));
}

}  // namespace
}  // namespace qvl
