// Counted by hand for a model small enough.
#include "models/qwen25vl/model_work.h"
#include "models/qwen25vl/tensors.h"

#include <gtest/gtest.h>

#include "bench/export_bench.h"
#include "qvl/error.h"
#include "support/test_data.h"

namespace qvl::qwen25vl {
namespace {

namespace fs = std::filesystem;

ModelConfig small_config() {
  ModelConfig config;
  VisionConfig& v = config.vision;
  v.depth = 2;
  v.hidden_size = 8;
  v.intermediate_size = 12;
  v.num_heads = 2;
  v.patch_size = 2;
  v.window_size = 8;  // 4 x 4 patches
  v.out_hidden_size = 16;
  v.fullatt_block_indexes = {1};
  TextConfig& t = config.text;
  t.vocab_size = 10;
  t.hidden_size = 16;
  t.intermediate_size = 24;
  t.num_hidden_layers = 2;
  t.num_attention_heads = 4;
  t.num_key_value_heads = 2;
  return config;
}

TEST(ModelWork, Vision) {
  const ModelConfig config = small_config();
  const ModelWork work = vision_work(config, tensor_table(config), {8, 4});
  // 32 patches: the patch embedding 24 -> 8; in each of 2 blocks qkv 8 -> 24, proj 8 -> 8, gate and up
  // 8 -> 12, down 12 -> 8. 8 image tokens: 32 -> 32 and 32 -> 16.
  const double per_block = 8 * 24 + 8 * 8 + 3 * 8 * 12;
  EXPECT_EQ(work.linear_flop, 2 * 32 * (24 * 8 + 2 * per_block) + 2 * 8 * (32 * 32 + 32 * 16));
  // Block 0 in 2 windows of 16 patches, block 1 over all 32.
  EXPECT_EQ(work.attention_flop, 2 * (4 * 16 * 16 * 8) + 4 * 32 * 32 * 8);
  EXPECT_EQ(work.weight_bytes, 4 * (24 * 8 + 2 * per_block + 32 * 32 + 32 * 16));
  EXPECT_EQ(work.flop(), 106496 + 49152);
  // A picture with ragged windows: 6 x 4 patches are a window of 4 x 4 and one of 2 x 4.
  EXPECT_EQ(vision_work(config, tensor_table(config), {6, 4}).attention_flop,
            4 * 16 * 16 * 8 + 4 * 8 * 8 * 8 + 4 * 24 * 24 * 8);
}

TEST(ModelWork, Text) {
  ModelConfig config = small_config();
  // q and o 16 x 16, k and v 16 x 8, three of 16 x 24; logits 16 x 10.
  const double weights = 2 * (2 * 16 * 16 + 2 * 16 * 8 + 3 * 16 * 24) + 16 * 10;
  for (const bool tied : {false, true}) {
    config.text.tie_word_embeddings = tied;
    for (const TiedHead head : {TiedHead::own, TiedHead::shared}) {
      const TensorTable table = tensor_table(config, head);
      const ModelWork work = text_work(config, table, 5, DType::f16);
      EXPECT_EQ(work.linear_flop, 2 * 5 * weights);
      EXPECT_EQ(work.attention_flop, 2 * (4 * 5 * 5 * 16));
      EXPECT_EQ(work.weight_bytes, 2 * weights);
      EXPECT_EQ(text_work(config, table, 5, DType::f32).weight_bytes, 4 * weights);
    }
  }
}

}  // namespace
}  // namespace qvl::qwen25vl
