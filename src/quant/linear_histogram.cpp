#include "quant/linear_histogram.h"

#include <algorithm>
#include <cmath>

namespace qvl {
namespace {

constexpr int kBinBits = 12;
static_assert(LinearHistogram::kBins == std::size_t{1} << kBinBits);
constexpr int kLeastExponent = kBinBits - 120;

}  // namespace

double LinearHistogram::width() const noexcept {
  return exponent_ == kNone ? 0.0 : std::ldexp(1.0, exponent_ - kBinBits);
}

void LinearHistogram::widen(int exponent) {
  if (exponent_ != kNone && exponent > exponent_) {
    const int shift = std::min(exponent - exponent_, kBinBits);
    for (std::vector<std::uint64_t>& side : counts_) {
      for (std::size_t bin = 1; bin < kBins; ++bin) {
        const std::uint64_t count = side[bin];
        side[bin] = 0;
        side[bin >> static_cast<unsigned>(shift)] += count;
      }
    }
  }
  exponent_ = std::max(exponent_, exponent);
}

void LinearHistogram::add(std::span<const float> values, float magnitude) {
  if (values.empty()) return;
  int exponent = kLeastExponent;
  if (magnitude > 0) {
    (void)std::frexp(magnitude, &exponent);  // magnitude < 2^exponent
  }
  widen(std::max(exponent, kLeastExponent));
  // A power of two that may be beyond a float's range on either side; the product is below kBins.
  const double bins_per_unit = std::ldexp(1.0, kBinBits - exponent_);
  std::uint64_t* const sides[2] = {counts_[positive].data(), counts_[negative].data()};
  for (const float value : values) {
    const auto bin = static_cast<std::size_t>(std::fabs(static_cast<double>(value)) * bins_per_unit);
    ++sides[value < 0 ? 1 : 0][bin];
  }
}

void LinearHistogram::merge(const LinearHistogram& other) {
  if (other.exponent_ == kNone) return;
  LinearHistogram wide = other;
  wide.widen(exponent_);
  widen(wide.exponent_);
  for (std::size_t side = 0; side < counts_.size(); ++side) {
    for (std::size_t bin = 0; bin < kBins; ++bin) counts_[side][bin] += wide.counts_[side][bin];
  }
}

}  // namespace qvl
