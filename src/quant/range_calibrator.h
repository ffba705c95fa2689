// The range that an activation is rounded within, chosen from the values that it had.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "core/isa.h"
#include "quant/calibration.h"
#include "quant/linear_histogram.h"
#include "quant/order_histogram.h"
#include "quant/value_range.h"

namespace qvl {

// Takes any number of tensors in one pass. Values that are NaN or infinite are counted and left out of
// everything else. The range depends on the finite values only, not on their order, nor on how they came in
// tensors, nor on the isa; merging two calibrators is as if one had observed what both did. n is the number
// of finite values.
//
//   minmax        the least and the greatest value
//   percentile:P  the narrowest bounds beyond which lie at most c = floor(n (100 - P) / 200) values each,
//                 rounded outwards to the bins of OrderHistogram (by less than 2^-7 of them), but not beyond
//                 the least and the greatest value. (Half of the share at either end, as ONNX Runtime's
//                 calibrator does.)
//   entropy       from max(least, -T) to min(greatest, T), T being that of quant/entropy_range.h
//
// Memory: 64 KiB for entropy, 512 KiB for percentile.
class RangeCalibrator {
 public:
  // Throws UsageError for a calibration without a name.
  explicit RangeCalibrator(const Calibration& calibration);

  void observe(std::span<const float> values, Isa isa = best_isa());
  // Throws UsageError when the other one follows another rule.
  void merge(const RangeCalibrator& other);

  // Within it lies every finite value or those that the rule keeps; not widened to hold 0 (AffineU8::of_range
  // does). Throws InputError when no finite value was observed.
  [[nodiscard]] ValueRange range() const;

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }            // n
  [[nodiscard]] std::uint64_t not_finite() const noexcept { return not_finite_; }  // NaN and infinities
  [[nodiscard]] const Calibration& calibration() const noexcept { return calibration_; }

 private:
  void add(std::span<const float> values, const ValueRange& range);

  Calibration calibration_;
  ValueRange range_;
  std::uint64_t count_ = 0;
  std::uint64_t not_finite_ = 0;
  std::optional<OrderHistogram> order_;    // percentile
  std::optional<LinearHistogram> linear_;  // entropy
};

}  // namespace qvl
