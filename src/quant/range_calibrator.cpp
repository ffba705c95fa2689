#include "quant/range_calibrator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "quant/entropy_range.h"
#include "qvl/error.h"

namespace qvl {

RangeCalibrator::RangeCalibrator(const Calibration& calibration) : calibration_(calibration) {
  check(calibration);
  if (calibration.rule == RangeRule::percentile) order_.emplace();
  if (calibration.rule == RangeRule::entropy) linear_.emplace();
}

void RangeCalibrator::observe(std::span<const float> values, Isa isa) {
  const ValueRange range = min_max(values, isa);
  const bool finite = !range.nan && std::isfinite(range.least) && std::isfinite(range.most);
  if (values.empty() || finite) {
    add(values, range);
    return;
  }
  std::vector<float> kept;
  std::ranges::copy_if(values, std::back_inserter(kept), [](float value) { return std::isfinite(value); });
  not_finite_ += values.size() - kept.size();
  add(kept, min_max(kept, isa));
}

void RangeCalibrator::add(std::span<const float> values, const ValueRange& range) {
  if (values.empty()) return;
  count_ += values.size();
  range_.merge(range);
  if (order_) order_->add(values);
  if (linear_) linear_->add(values, std::max(std::fabs(range.least), std::fabs(range.most)));
}

void RangeCalibrator::merge(const RangeCalibrator& other) {
  if (calibration_ != other.calibration_) {
    throw UsageError(fmt::format("observations for {} cannot be merged into those for {}",
                                 to_string(other.calibration_), to_string(calibration_)));
  }
  range_.merge(other.range_);
  count_ += other.count_;
  not_finite_ += other.not_finite_;
  if (order_) order_->merge(*other.order_);
  if (linear_) linear_->merge(*other.linear_);
}

ValueRange RangeCalibrator::range() const {
  if (count_ == 0) {
    throw InputError(fmt::format(
        "no finite activation was observed ({} NaN or infinite); calibration needs some", not_finite_));
  }
  ValueRange range = range_;
  if (order_) {
    const double cut = static_cast<double>(count_) * (100.0 - calibration_.percentile) / 200.0;
    const ValueRange kept = order_->range_without(static_cast<std::uint64_t>(cut));
    range.least = std::max(range.least, kept.least);
    range.most = std::min(range.most, kept.most);
  }
  if (linear_) {
    const double threshold = entropy_threshold(*linear_);
    range.least = static_cast<float>(std::max(static_cast<double>(range.least), -threshold));
    range.most = static_cast<float>(std::min(static_cast<double>(range.most), threshold));
  }
  return range;
}

}  // namespace qvl
