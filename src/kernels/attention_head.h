// One head of an attention after the other, over buffers that they share. Internal to this layer.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "kernels/attention_kernels.h"
#include "kernels/attention_layout.h"

namespace qvl {

class AttentionHead {
 public:
  AttentionHead(const AttentionLayout& layout, const AttentionInputs& inputs,
                const AttentionKernels& kernels);

  // The head's operands; those of the head before need not be set again. Values are read until the last
  // run().
  void set_keys(const float* k_transposed);
  void set_values(const float* v);
  void set_mask(const float* mask);
  // `out` has layout.rows x layout.width floats.
  void run(const float* q, float* out);

 private:
  struct Release {
    void operator()(float* floats) const noexcept;
  };
  using Floats = std::unique_ptr<float[], Release>;
  static Floats make_floats(std::size_t count);

  void set_queries(const float* q, std::size_t first_row);
  void take_open_strips();
  void take_closed_strips();
  void take_strips(std::size_t first, std::size_t count);
  void mix_tile(std::size_t tile, std::size_t first_key, std::size_t keys);
  void write(float* out) const;
  [[nodiscard]] std::size_t strips() const { return (layout_.keys + kStripKeys - 1) / kStripKeys; }
  [[nodiscard]] const MaskRange& range(std::size_t strip) const;
  [[nodiscard]] bool is_closed(std::size_t strip) const;
  [[nodiscard]] bool weighs_nothing(std::size_t strip, float least_top) const;
  [[nodiscard]] bool wants_mask(std::size_t first, std::size_t count) const;

  const AttentionLayout& layout_;
  const float scale_;
  const bool zero_for_nan_;
  const AttentionKernels& kernels_;
  const std::size_t panel_;         // keys, or columns of the values
  const std::size_t padded_width_;  // columns of the values in whole vectors

  Floats keys_;     // [panel][depth][key], zeros behind the last key
  Floats values_;   // [panel][key][column], zeros behind the last column
  Floats queries_;  // [tile][depth][row], scaled
  Floats scores_;   // of one tile
  Floats mixed_;    // [tile][panel][row][column]
  Floats wide_mask_;
  const float* used_values_ = nullptr;
  const float* used_mask_ = nullptr;
  std::size_t mask_row_ = 0;
  bool values_are_finite_ = true;
  std::vector<float> key_most_;         // greatest magnitude in each strip, infinity for NaN
  std::vector<MaskRange> mask_ranges_;  // [block of query rows][strip]
  float query_most_ = 0.0F;

  std::size_t first_row_ = 0;  // of the block of query rows in work
  std::size_t block_rows_ = 0;
  float greatest_[kQueryRows];
  float sum_[kQueryRows];
  float factor_[kQueryRows];
};

}  // namespace qvl
