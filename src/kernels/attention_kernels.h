// The steps of an attention over one tile of query rows, for one instruction set. Internal to this layer.
#pragma once

#include <cstddef>

#include "core/isa.h"

namespace qvl {

// Keys come in strips, which can be skipped each by itself, and in blocks of neighbouring strips, which one
// step of the running softmax takes.
inline constexpr std::size_t kStripKeys = 32;
inline constexpr std::size_t kBlockStrips = 8;
inline constexpr std::size_t kBlockKeys = kStripKeys * kBlockStrips;
// Floats between the rows of a tile's scores. Not the power of two, whose rows would share few cache sets.
inline constexpr std::size_t kScoreStride = kBlockKeys + 16;
// Query rows that go through a block of keys while it is in the second-level cache; a multiple of every
// tile_rows.
inline constexpr std::size_t kQueryRows = 48;
// exp() is exactly 0 below this: the first float above ln(2^-126), below which results are subnormal.
inline constexpr float kExpFloor = -87.33654F;

// What a part of the mask holds. `greatest` is infinity when there is a NaN in it.
struct MaskRange {
  float least = 0.0F;
  float greatest = 0.0F;
};

// A panel is panel_keys() keys, or as many columns of the values; packed, its rows are contiguous.
struct AttentionKernels {
  std::size_t lanes;      // floats in a vector; divides kStripKeys / 2
  std::size_t tile_rows;  // query rows of a tile

  // scores[row][key] = sum over depth of q[depth][row] * k[panel][depth][key], `panels` panels of 2 vectors.
  void (*score)(const float* q, const float* k, std::size_t depth, std::size_t panels, float* scores);
  // Adds the mask (null: none; `mask_stride` floats between rows), takes the running greatest and sum of each
  // row on, and makes exp(score - greatest) of the scores. factor: by which what was summed so far shrinks.
  void (*weigh)(float* scores, const float* mask, std::size_t mask_stride, std::size_t rows, std::size_t keys,
                float* greatest, float* sum, float* factor);
  // out[row][column] = out * factor[row] + sum over keys of weights[row][key] * v[key][column]; a panel of
  // `vectors` (1 or 2) vectors, rows of `out` and `v` contiguous.
  void (*mix)(const float* weights, const float* v, std::size_t keys, std::size_t vectors,
              const float* factor, float* out);
  MaskRange (*mask_range)(const float* mask, std::size_t stride, std::size_t rows, std::size_t keys);
};

[[nodiscard]] const AttentionKernels& attention_kernels(Isa isa);

}  // namespace qvl
