#include "quant/order_histogram.h"

#include "quant/float_order.h"

namespace qvl {
namespace {

constexpr int kBinBits = 16;
constexpr std::int32_t kFirstBin = -(1 << (31 - kBinBits));
constexpr std::size_t kBins = std::size_t{1} << (32 - kBinBits);

}  // namespace

OrderHistogram::OrderHistogram() : counts_(kBins) {}

void OrderHistogram::add(std::span<const float> values) {
  std::uint64_t* const counts = counts_.data();
  for (const float value : values) ++counts[(float_order::place_of(value) >> kBinBits) - kFirstBin];
}

void OrderHistogram::merge(const OrderHistogram& other) {
  for (std::size_t bin = 0; bin < kBins; ++bin) counts_[bin] += other.counts_[bin];
}

ValueRange OrderHistogram::range_without(std::uint64_t cut) const {
  std::size_t low = 0;
  for (std::uint64_t below = 0; low + 1 < kBins; ++low) {
    below += counts_[low];
    if (below > cut) break;
  }
  std::size_t high = kBins - 1;
  for (std::uint64_t above = 0; high > 0; --high) {
    above += counts_[high];
    if (above > cut) break;
  }
  const auto first_place = [](std::size_t bin) {
    return (static_cast<std::int32_t>(bin) + kFirstBin) * (1 << kBinBits);
  };
  return {float_order::value_at(first_place(low)) + 0.0F,
          float_order::value_at(first_place(high) + ((1 << kBinBits) - 1)) + 0.0F, false};
}

}  // namespace qvl
