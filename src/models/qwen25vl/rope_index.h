// M-RoPE positions of prompts with pictures, on the host.
// Source: get_rope_index of transformers' modeling_qwen2_5_vl.py (pictures; a picture's time position is
// constant).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/qwen25vl/window_layout.h"

namespace qvl::qwen25vl {

struct RopeIndex {
  // One number per token in each row; 0 at padding.
  std::vector<std::int64_t> time;
  std::vector<std::int64_t> height;
  std::vector<std::int64_t> width;
  // The token generated after n tokens of the row, padding not counted, has the position n + delta.
  std::int64_t delta = 0;
};

// Positions of one row of a batch. `attention_mask` is 1 at tokens and 0 at padding; `pictures` are the grids
// of the row's pictures in order; `merge` is the spatial merge size. Throws InputError when the number of
// image tokens is not what the pictures give.
[[nodiscard]] RopeIndex rope_index(std::span<const std::int64_t> input_ids,
                                   std::span<const std::int64_t> attention_mask,
                                   std::span<const PatchGrid> pictures, std::int64_t image_token_id,
                                   std::int64_t merge);

}  // namespace qvl::qwen25vl
