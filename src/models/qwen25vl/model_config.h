// What config.json of a Qwen2.5-VL checkpoint says about the model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace qvl::qwen25vl {

// The initial values are the defaults of the reference classes (Qwen2_5_VLVisionConfig, Qwen2_5_VLTextConfig
// of transformers): what a field that the file leaves out means.

struct VisionConfig {
  std::int64_t depth = 32;  // blocks
  std::int64_t hidden_size = 3584;
  std::int64_t intermediate_size = 3420;
  std::int64_t num_heads = 16;
  std::int64_t in_channels = 3;          // in_chans in older files
  std::int64_t patch_size = 14;          // pixels
  std::int64_t spatial_merge_size = 2;   // patches along one side of a merge block
  std::int64_t temporal_patch_size = 2;  // frames
  std::int64_t window_size = 112;        // pixels
  std::int64_t out_hidden_size = 3584;
  double tokens_per_second = 4.0;
  std::vector<std::int64_t> fullatt_block_indexes = {7, 15, 23,
                                                     31};  // blocks that attend beyond their window

  [[nodiscard]] std::int64_t head_size() const noexcept { return hidden_size / num_heads; }
  friend bool operator==(const VisionConfig&, const VisionConfig&) = default;
};

struct TextConfig {
  std::int64_t vocab_size = 152064;
  std::int64_t hidden_size = 8192;
  std::int64_t intermediate_size = 29568;
  std::int64_t num_hidden_layers = 80;
  std::int64_t num_attention_heads = 64;
  std::int64_t num_key_value_heads = 8;
  std::int64_t max_position_embeddings = 32768;
  double rms_norm_eps = 1e-5;
  double rope_theta = 1e6;
  std::vector<std::int64_t> mrope_section;  // pairs of dimensions that turn by time, height, width
  bool tie_word_embeddings = false;

  [[nodiscard]] std::int64_t head_size() const noexcept { return hidden_size / num_attention_heads; }
  friend bool operator==(const TextConfig&, const TextConfig&) = default;
};

struct ModelConfig {
  VisionConfig vision;
  TextConfig text;
  std::int64_t image_token_id = -1;
  std::int64_t video_token_id = -1;
  std::int64_t vision_start_token_id = -1;
  std::int64_t vision_end_token_id = -1;
  std::string dtype;  // "bfloat16", "float32", …; empty where the file does not say

  friend bool operator==(const ModelConfig&, const ModelConfig&) = default;
};

// Both layouts are read: flat as on the hub (the text model's fields on the top level, `rope_scaling`) and
// nested as transformers 5 writes it (`text_config`, `rope_parameters`). Where `text_config` is present, text
// fields of the top level do not count, but for the token ids, where the top level goes first, and
// `tie_word_embeddings`, which is true when either level says so (as in transformers 5.24).
//
// A missing mrope_section means [16, 24, 24], that of all published sizes, where that fits the head size, and
// is an error elsewhere. Default entries of fullatt_block_indexes beyond a smaller depth are left out.
//
// What comes back is consistent: every dimension is positive and so bounded that the element count of any of
// the model's tensors fits 63 bits; heads divide hidden sizes; key-value heads divide heads; head sizes are
// even (vision: divisible by 4); mrope_section has three entries that sum to head_size / 2; window_size is a
// multiple of patch_size x spatial_merge_size; out_hidden_size is the text model's hidden_size; token ids are
// below vocab_size and differ from each other. Everything that is wrong with the file is in one InputError, a
// line each; `source` names the file in it.
[[nodiscard]] ModelConfig parse_model_config(std::string_view json, std::string_view source);
[[nodiscard]] ModelConfig read_model_config(const std::filesystem::path& config_json);

}  // namespace qvl::qwen25vl
