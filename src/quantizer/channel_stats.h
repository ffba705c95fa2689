// What the inputs of a unit looked like, channel by channel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "quant/value_range.h"
#include "quant/weight_layout.h"

namespace qvl {

// Of a unit's operand as rows of `depth` channels. Sums are in f64, and those of items are added in the
// items' order by the caller: merge().
class ChannelStats {
 public:
  explicit ChannelStats(std::int64_t depth);

  // rows: [count, depth]. Some of them are kept for trials.
  void add(std::span<const float> rows);
  void merge(const ChannelStats& other);

  [[nodiscard]] std::vector<float> mean_squares() const;
  // max |x| of each channel.
  [[nodiscard]] std::vector<float> largest() const;
  // Of all rows, each channel multiplied by a factor above 0.
  [[nodiscard]] ValueRange range(std::span<const float> factors) const;
  // Whether it has seen no row.
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  // [count, depth]; at most kMostRows.
  [[nodiscard]] const std::vector<float>& rows() const noexcept { return rows_; }

  static constexpr std::size_t kMostRows = 192;
  static constexpr std::size_t kRowsOfItem = 24;

 private:
  void keep(std::span<const float> rows, const std::vector<std::size_t>& greatest);

  std::size_t depth_;
  std::uint64_t count_ = 0;
  std::vector<double> squares_;
  std::vector<float> least_;  // of each channel, and 0
  std::vector<float> most_;
  std::vector<float> rows_;
};

// SmoothQuant's factors for weights: max|x|^alpha / max|w|^(1 - alpha) by channel, 1 for channels without
// numbers; kept within 1e-4 .. 1e4. Source: Xiao et al., "SmoothQuant: Accurate and Efficient Post-Training
// Quantization for Large Language Models", 2022, equation 4.
[[nodiscard]] std::vector<float> smoothing_factors(std::span<const float> largest_inputs,
                                                   const WeightLayout& layout, std::span<const float> weight,
                                                   double alpha);

// Of 0 (none), 0.25, 0.5 and 0.75 the alpha with which the product of the trial's rows and the int8 weight,
// its operand rounded to 8 bits, is nearest to the unrounded product. Factors come from `fit`, and so does
// the range where it is fixed; else it is that of all rows of the trial. Fit and trial are of different
// samples where there are several: what is fitted too closely shows as values that are cut off. One matrix.
[[nodiscard]] double best_alpha(const ChannelStats& fit, const ChannelStats& trial, bool fixed_range,
                                const WeightLayout& layout, std::span<const float> weight, int threads);

}  // namespace qvl
