#include "kernels/attention_head.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>

namespace qvl {
namespace {

constexpr std::align_val_t kAlignment{64};
constexpr float kEndless = std::numeric_limits<float>::infinity();

// A strip whose mask is below this everywhere comes after the others, when the rows' maxima may show that it
// weighs nothing. Changes what is skipped, not what is right.
constexpr float kClosed = -1000.0F;

// The greatest magnitude, as bits: those of NaN are greater than any number's.
std::uint32_t most_bits(const float* values, std::size_t count, std::uint32_t most) {
  for (std::size_t i = 0; i < count; ++i)
    most = std::max(most, std::bit_cast<std::uint32_t>(values[i]) & 0x7fffffffU);
  return most;
}

float magnitude(std::uint32_t bits) { return bits >= 0x7f800000U ? kEndless : std::bit_cast<float>(bits); }

template <std::size_t kCount>
void copy_rows(const float* from, std::size_t stride, std::size_t rows, float* to) {
  for (std::size_t r = 0; r < rows; ++r)
    std::memcpy(to + r * kCount, from + r * stride, kCount * sizeof(float));
}

// `count` columns of each row, `padded` in the copy, the rest zeros.
void copy_panel(const float* from, std::size_t stride, std::size_t rows, std::size_t count,
                std::size_t padded, float* to) {
  if (count == padded && count == 32) return copy_rows<32>(from, stride, rows, to);
  if (count == padded && count == 16) return copy_rows<16>(from, stride, rows, to);
  if (count == padded && count == 8) return copy_rows<8>(from, stride, rows, to);
  for (std::size_t r = 0; r < rows; ++r) {
    std::copy_n(from + r * stride, count, to + r * padded);
    std::fill_n(to + r * padded + count, padded - count, 0.0F);
  }
}

std::size_t round_up(std::size_t value, std::size_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

void AttentionHead::Release::operator()(float* floats) const noexcept {
  ::operator delete[](floats, kAlignment);
}

AttentionHead::Floats AttentionHead::make_floats(std::size_t count) {
  return Floats(
      static_cast<float*>(::operator new[](std::max<std::size_t>(count, 1) * sizeof(float), kAlignment)));
}

AttentionHead::AttentionHead(const AttentionLayout& layout, const AttentionInputs& inputs,
                             const AttentionKernels& kernels)
    : layout_(layout),
      scale_(inputs.scale),
      zero_for_nan_(inputs.zero_for_nan),
      kernels_(kernels),
      panel_(2 * kernels.lanes),
      padded_width_(round_up(layout.width, kernels.lanes)),
      keys_(make_floats(strips() * kStripKeys * layout.depth)),
      queries_(make_floats(kQueryRows * layout.depth)),
      scores_(make_floats(kernels.tile_rows * kScoreStride)),
      mixed_(make_floats(kQueryRows * padded_width_)) {
  // The values lie as a single panel already.
  const bool as_given = layout.width == kernels.lanes || layout.width == panel_;
  if (!as_given) values_ = make_floats(layout.keys * padded_width_);
}

void AttentionHead::set_keys(const float* k_transposed) {
  const std::size_t keys = layout_.keys;
  key_most_.assign(strips(), 0.0F);
  if (layout_.depth == 0) return;  // and nothing to read
  for (std::size_t first = 0; first < strips() * kStripKeys; first += panel_) {
    float* const to = keys_.get() + first * layout_.depth;
    const std::size_t count = first < keys ? std::min(panel_, keys - first) : 0;
    if (layout_.k_key == 1) {
      copy_panel(k_transposed + first, keys, layout_.depth, count, panel_, to);
      continue;
    }
    for (std::size_t i = 0; i < layout_.depth; ++i) {
      std::fill_n(to + i * panel_, count, k_transposed[i]);
      std::fill_n(to + i * panel_ + count, panel_ - count, 0.0F);
    }
  }
  if (!layout_.masked) return;
  const std::size_t floats = kStripKeys * layout_.depth;
  for (std::size_t s = 0; s < strips(); ++s)
    key_most_[s] = magnitude(most_bits(keys_.get() + s * floats, floats, 0));
}

void AttentionHead::set_values(const float* v) {
  used_values_ = values_ == nullptr ? v : values_.get();
  for (std::size_t column = 0; values_ != nullptr && column < layout_.width; column += panel_) {
    const std::size_t count = std::min(panel_, layout_.width - column);
    copy_panel(v + column, layout_.width, layout_.keys, count, round_up(count, kernels_.lanes),
               values_.get() + column * layout_.keys);
  }
  // Nothing times infinity is no number, so that such a value must be seen even where its weight is 0.
  values_are_finite_ = !(layout_.masked || zero_for_nan_) ||
                       magnitude(most_bits(v, layout_.keys * layout_.width, 0)) < kEndless;
}

void AttentionHead::set_mask(const float* mask) {
  used_mask_ = mask;
  mask_row_ = layout_.mask_row;
  const std::size_t rows = layout_.mask_row == 0 ? 1 : layout_.rows;
  if (layout_.mask_key == 0 && layout_.keys > 1) {
    if (wide_mask_ == nullptr) wide_mask_ = make_floats(rows * layout_.keys);
    for (std::size_t r = 0; r < rows; ++r)
      std::fill_n(wide_mask_.get() + r * layout_.keys, layout_.keys, mask[r * layout_.mask_row]);
    used_mask_ = wide_mask_.get();
    if (layout_.mask_row != 0) mask_row_ = layout_.keys;
  }
  mask_ranges_.clear();
  for (std::size_t row = 0; row < rows; row += kQueryRows) {
    for (std::size_t key = 0; key < layout_.keys; key += kStripKeys) {
      mask_ranges_.push_back(kernels_.mask_range(used_mask_ + row * mask_row_ + key, mask_row_,
                                                 std::min(kQueryRows, rows - row),
                                                 std::min(kStripKeys, layout_.keys - key)));
    }
  }
}

void AttentionHead::set_queries(const float* q, std::size_t first_row) {
  first_row_ = first_row;
  block_rows_ = std::min(kQueryRows, layout_.rows - first_row);
  const std::size_t tile_rows = kernels_.tile_rows;
  const std::size_t taken_rows = round_up(block_rows_, tile_rows);
  for (std::size_t r = 0; r < taken_rows; ++r) {
    float* const to = queries_.get() + r / tile_rows * tile_rows * layout_.depth + r % tile_rows;
    const float* const from = q + (first_row + r) * layout_.q_row;
    for (std::size_t i = 0; i < layout_.depth; ++i)
      to[i * tile_rows] = r < block_rows_ ? from[i] * scale_ : 0.0F;
  }
  if (used_mask_ != nullptr)
    query_most_ = magnitude(most_bits(queries_.get(), taken_rows * layout_.depth, 0));
  std::fill_n(greatest_, kQueryRows, -kEndless);
  std::fill_n(sum_, kQueryRows, 0.0F);
  std::fill_n(factor_, kQueryRows, 1.0F);
  std::fill_n(mixed_.get(), taken_rows * padded_width_, 0.0F);
}

const MaskRange& AttentionHead::range(std::size_t strip) const {
  const std::size_t block = mask_row_ == 0 ? 0 : first_row_ / kQueryRows;
  return mask_ranges_[block * strips() + strip];
}

bool AttentionHead::is_closed(std::size_t strip) const {
  return used_mask_ != nullptr && values_are_finite_ && range(strip).greatest < kClosed;
}

bool AttentionHead::wants_mask(std::size_t first, std::size_t count) const {
  if (used_mask_ == nullptr) return false;
  for (std::size_t s = first; s < first + count; ++s) {
    if (range(s).least != 0.0F || range(s).greatest != 0.0F) return true;
  }
  return false;
}

// Sums and differences are rounded here as they are for each key, and rounding keeps order: what is below the
// floor for the bound is so for every key. The factor covers the roundings of a product of `depth` terms.
bool AttentionHead::weighs_nothing(std::size_t strip, float least_top) const {
  const double bound = 1.001 * static_cast<double>(layout_.depth) * static_cast<double>(query_most_) *
                       static_cast<double>(key_most_.at(strip));
  if (!(bound < static_cast<double>(std::numeric_limits<float>::max()))) return false;
  const float most = range(strip).greatest + static_cast<float>(bound);
  return most - least_top < kExpFloor;
}

void AttentionHead::mix_tile(std::size_t tile, std::size_t first_key, std::size_t keys) {
  const std::size_t rows = kernels_.tile_rows;
  for (std::size_t column = 0; column < padded_width_; column += panel_) {
    const std::size_t columns = std::min(panel_, padded_width_ - column);
    kernels_.mix(scores_.get(), used_values_ + column * layout_.keys + first_key * columns, keys,
                 columns / kernels_.lanes, factor_ + tile * rows,
                 mixed_.get() + rows * (tile * padded_width_ + column));
  }
}

void AttentionHead::take_strips(std::size_t first, std::size_t count) {
  const std::size_t rows = kernels_.tile_rows;
  const std::size_t first_key = first * kStripKeys;
  const std::size_t keys = std::min(count * kStripKeys, layout_.keys - first_key);
  const float* const mask =
      wants_mask(first, count) ? used_mask_ + first_row_ * mask_row_ + first_key : nullptr;
  for (std::size_t tile = 0; tile * rows < block_rows_; ++tile) {
    const std::size_t row = tile * rows;
    kernels_.score(queries_.get() + row * layout_.depth, keys_.get() + first_key * layout_.depth,
                   layout_.depth, (keys + panel_ - 1) / panel_, scores_.get());
    kernels_.weigh(scores_.get(), mask == nullptr ? nullptr : mask + row * mask_row_, mask_row_,
                   std::min(rows, block_rows_ - row), keys, greatest_ + row, sum_ + row, factor_ + row);
    mix_tile(tile, first_key, keys);
  }
}

void AttentionHead::take_open_strips() {
  for (std::size_t s = 0; s < strips();) {
    std::size_t count = 0;
    while (count < kBlockStrips && s + count < strips() && !is_closed(s + count)) ++count;
    if (count > 0) take_strips(s, count);
    s += std::max<std::size_t>(count, 1);
  }
}

void AttentionHead::take_closed_strips() {
  float least_top = *std::min_element(greatest_, greatest_ + block_rows_);
  for (std::size_t s = 0; s < strips();) {
    std::size_t count = 0;
    while (count < kBlockStrips && s + count < strips() && is_closed(s + count) &&
           !weighs_nothing(s + count, least_top)) {
      ++count;
    }
    if (count > 0) {
      take_strips(s, count);
      least_top = *std::min_element(greatest_, greatest_ + block_rows_);
    }
    s += std::max<std::size_t>(count, 1);
  }
}

void AttentionHead::write(float* out) const {
  const std::size_t rows = kernels_.tile_rows;
  for (std::size_t r = 0; r < block_rows_; ++r) {
    const float* const tile = mixed_.get() + r / rows * rows * padded_width_;
    float* const to = out + (first_row_ + r) * layout_.width;
    if (zero_for_nan_ && values_are_finite_ &&
        !(sum_[r] > 0.0F)) {  // a sum that is NaN, or of nothing at all
      std::fill_n(to, layout_.width, 0.0F);
      continue;
    }
    for (std::size_t column = 0; column < layout_.width; column += panel_) {
      const float* const from = tile + rows * column + r % rows * std::min(panel_, padded_width_ - column);
      const std::size_t columns = std::min(panel_, layout_.width - column);
      for (std::size_t i = 0; i < columns; ++i) to[column + i] = from[i] / sum_[r];
    }
  }
}

void AttentionHead::run(const float* q, float* out) {
  for (std::size_t row = 0; row < layout_.rows; row += kQueryRows) {
    set_queries(q, row);
    take_open_strips();
    if (used_mask_ != nullptr) take_closed_strips();
    write(out);
  }
}

}  // namespace qvl
