#include "models/qwen25vl/tensors.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "checkpoint/checkpoint.h"
#include "models/qwen25vl/published_sizes.h"
#include "qvl/error.h"
#include "support/test_data.h"

namespace qvl::qwen25vl {
namespace {

struct Published {
  const char* file;
  const char* size;
  std::int64_t parameters;  // of the published checkpoints: sums of their tensors' elements
  std::ptrdiff_t tensors;
};

class PublishedTable : public testing::TestWithParam<Published> {};

std::int64_t parameters(const TensorTable& table) {
  std::int64_t sum = 0;
  for (const TensorRow& row : table.rows()) sum += row.in_checkpoint() ? *element_count(row.shape) : 0;
  return sum;
}

TEST_P(PublishedTable, HasEveryTensorOfTheCheckpoint) {
  const ModelConfig config = read_model_config(test::preset_config(GetParam().file));
  const TensorTable table = tensor_table(config);
  EXPECT_EQ(published_size(config.text), GetParam().size);
  EXPECT_EQ(parameters(table), GetParam().parameters);
  EXPECT_EQ(std::ranges::count_if(table.rows(), &TensorRow::in_checkpoint), GetParam().tensors);
  for (const TensorRow& row : table.rows()) {
    EXPECT_EQ(*element_count(row.graph_shape()), *element_count(row.shape)) << row.name;
  }
}

// Tensors: vision 1 + 12 x 32 + 5; text 2 + 12 x layers (+ 1 untied lm_head).
INSTANTIATE_TEST_SUITE_P(Sizes, PublishedTable,
                         testing::Values(Published{"3b", "3b", 3754622976, 390 + 2 + 12 * 36},
                                         Published{"3b-finetune", "3b", 3754622976, 390 + 2 + 12 * 36},
                                         Published{"7b", "7b", 8292166656, 390 + 3 + 12 * 28},
                                         Published{"32b", "32b", 33452718336, 390 + 3 + 12 * 64},
                                         Published{"72b", "72b", 73410777344, 390 + 3 + 12 * 80}),
                         [](const auto& instance) {
                           return std::string(instance.param.size) + std::to_string(instance.index);
                         });

TEST(TensorTable, TransposesMatricesAndFlattensThePatchEmbedding) {
  const TensorTable table = tensor_table(read_model_config(test::preset_config("3b")));
  EXPECT_EQ(table.row("model.layers.35.mlp.down_proj.weight").shape, (Shape{2048, 11008}));
  EXPECT_EQ(table.row("model.layers.35.mlp.down_proj.weight").graph_shape(), (Shape{11008, 2048}));
  EXPECT_EQ(table.row("model.layers.0.self_attn.k_proj.weight").shape, (Shape{256, 2048}));
  EXPECT_EQ(table.row("visual.patch_embed.proj.weight").shape, (Shape{1280, 3, 2, 14, 14}));
  EXPECT_EQ(table.row("visual.patch_embed.proj.weight").graph_shape(), (Shape{1176, 1280}));
  EXPECT_EQ(table.row("visual.merger.mlp.2.weight").shape, (Shape{2048, 5120}));
  EXPECT_EQ(table.row("model.embed_tokens.weight").graph_shape(), (Shape{151936, 2048}));
}

// The head of a tied model is the table turned, or the table itself; that of others is its own either way.
TEST(TensorTable, KnowsWhatATiedHeadIsMadeOf) {
  const ModelConfig tied = read_model_config(test::preset_config("3b"));
  const TensorTable own = tensor_table(tied);
  EXPECT_FALSE(own.shares_head());
  EXPECT_EQ(own.row("lm_head.weight").graph_shape(), (Shape{2048, 151936}));
  EXPECT_EQ(own.row("lm_head.weight").stored, "model.embed_tokens.weight");
  EXPECT_FALSE(own.row("lm_head.weight").in_checkpoint());
  EXPECT_TRUE(own.row("lm_head.weight").quantizable);
  EXPECT_FALSE(own.row("model.embed_tokens.weight").quantizable);
  const TensorTable shared = tensor_table(tied, TiedHead::shared);
  EXPECT_TRUE(shared.shares_head());
  EXPECT_THROW((void)shared.row("lm_head.weight"), UsageError);
  EXPECT_TRUE(shared.row("model.embed_tokens.weight").quantizable);
  const TensorTable untied = tensor_table(read_model_config(test::preset_config("7b")), TiedHead::shared);
  EXPECT_FALSE(untied.shares_head());
  EXPECT_EQ(untied.row("lm_head.weight").stored, "lm_head.weight");
}

TEST(TensorTable, FitsTheFixtures) {
  for (const auto& folder : {test::data("checkpoints/tiny-tied"), test::data("checkpoints/tiny-sharded"),
                             test::demo_checkpoint()}) {
    const Checkpoint checkpoint = Checkpoint::open(folder);
    EXPECT_TRUE(
        tensor_table(read_model_config(checkpoint.folder() / "config.json")).compare(checkpoint).empty())
        << folder;
  }
}

// A table for another config than the checkpoint's: everything that differs is reported at once.
TEST(TensorTable, ReportsAllProblemsAtOnce) {
  const Checkpoint checkpoint = Checkpoint::open(test::data("checkpoints/tiny-tied"));
  ModelConfig other = read_model_config(checkpoint.folder() / "config.json");
  other.text.num_hidden_layers = 4;    // 12 tensors missing
  other.vision.depth = 2;              // 12 tensors too many
  other.text.intermediate_size = 161;  // 3 tensors of each of the three layers misshaped
  const auto problems = tensor_table(other).compare(checkpoint);
  EXPECT_EQ(problems.size(), 12U + 12U + 9U);
  try {
    tensor_table(other).require_match(checkpoint);
    FAIL();
  } catch (const InputError& error) {
    const std::string what = error.what();
    EXPECT_NE(what.find("model.layers.3.self_attn.q_proj.weight: missing; [64, 64] is expected"),
              std::string::npos)
        << what;
    EXPECT_NE(what.find("model.layers.0.mlp.up_proj.weight: has the shape [160, 64]; [161, 64] is expected"),
              std::string::npos);
    EXPECT_NE(what.find("visual.blocks.2.norm1.weight: not part of the model"), std::string::npos);
  }
}

}  // namespace
}  // namespace qvl::qwen25vl
