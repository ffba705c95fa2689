#include "quantizer/channel_stats.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>

#include "core/parallel.h"
#include "quant/activation.h"
#include "quant/fake_quantize.h"

namespace qvl {
namespace {

constexpr float kLeastFactor = 1e-4F;
constexpr float kMostFactor = 1e4F;

// rows x weight for one matrix: [count, layout.rows].
std::vector<float> product(std::span<const float> rows, const WeightLayout& layout,
                           std::span<const float> weight, int threads) {
  const auto depth = static_cast<std::size_t>(layout.depth);
  const auto width = static_cast<std::size_t>(layout.rows);
  const std::size_t count = rows.size() / depth;
  std::vector<float> out(count * width);
  parallel_for(count, worker_count(threads), nullptr, [&](std::size_t r, unsigned) {
    const float* x = rows.data() + r * depth;
    float* y = out.data() + r * width;
    if (layout.axis == DepthAxis::strided) {
      for (std::size_t k = 0; k < depth; ++k) {
        const float* w = weight.data() + k * width;
        for (std::size_t n = 0; n < width; ++n) y[n] += x[k] * w[n];
      }
    } else {
      for (std::size_t n = 0; n < width; ++n) {
        const float* w = weight.data() + n * depth;
        double sum = 0;
        for (std::size_t k = 0; k < depth; ++k) sum += static_cast<double>(x[k]) * w[k];
        y[n] = static_cast<float>(sum);
      }
    }
  });
  return out;
}

double squared_distance(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    sum += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
  return sum;
}

}  // namespace

ChannelStats::ChannelStats(std::int64_t depth)
    : depth_(static_cast<std::size_t>(depth)),
      squares_(depth_, 0.0),
      least_(depth_, 0.0F),
      most_(depth_, 0.0F) {}

void ChannelStats::add(std::span<const float> rows) {
  const std::size_t count = rows.size() / depth_;
  std::vector<std::size_t> greatest(depth_, 0);  // row with the channel's largest magnitude
  std::vector<float> magnitude(depth_, 0.0F);
  for (std::size_t r = 0; r < count; ++r) {
    const std::span<const float> row = rows.subspan(r * depth_, depth_);
    for (std::size_t k = 0; k < depth_; ++k) {
      squares_[k] += static_cast<double>(row[k]) * row[k];
      least_[k] = std::min(least_[k], row[k]);
      most_[k] = std::max(most_[k], row[k]);
      if (std::abs(row[k]) <= magnitude[k]) continue;
      magnitude[k] = std::abs(row[k]);
      greatest[k] = r;
    }
  }
  count_ += count;
  keep(rows, greatest);
}

// Half of them spread evenly, half those that are the greatest in the most channels: what a range cuts off is
// there.
void ChannelStats::keep(std::span<const float> rows, const std::vector<std::size_t>& greatest) {
  const std::size_t count = rows.size() / depth_;
  if (count == 0) return;
  std::vector<std::size_t> wins(count, 0);
  for (const std::size_t r : greatest) ++wins[r];
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater<>(), [&](std::size_t r) { return wins[r]; });
  std::vector<std::size_t> chosen(
      order.begin(), order.begin() + static_cast<std::ptrdiff_t>(std::min(count, kRowsOfItem / 2)));
  const std::size_t step = std::max<std::size_t>(1, count / (kRowsOfItem / 2));
  for (std::size_t r = 0; r < count && r < kRowsOfItem / 2 * step; r += step) chosen.push_back(r);
  for (const std::size_t r : chosen) {
    if (rows_.size() >= kMostRows * depth_) return;
    const auto row = rows.subspan(r * depth_, depth_);
    rows_.insert(rows_.end(), row.begin(), row.end());
  }
}

void ChannelStats::merge(const ChannelStats& other) {
  for (std::size_t k = 0; k < depth_; ++k) {
    squares_[k] += other.squares_[k];
    least_[k] = std::min(least_[k], other.least_[k]);
    most_[k] = std::max(most_[k], other.most_[k]);
  }
  count_ += other.count_;
  const std::size_t room = kMostRows * depth_ - std::min(rows_.size(), kMostRows * depth_);
  rows_.insert(rows_.end(), other.rows_.begin(),
               other.rows_.begin() + static_cast<std::ptrdiff_t>(std::min(room, other.rows_.size())));
}

std::vector<float> ChannelStats::mean_squares() const {
  std::vector<float> means(depth_);
  for (std::size_t k = 0; k < depth_; ++k)
    means[k] = count_ == 0 ? 1.0F : static_cast<float>(squares_[k] / static_cast<double>(count_));
  return means;
}

std::vector<float> ChannelStats::largest() const {
  std::vector<float> largest(depth_);
  for (std::size_t k = 0; k < depth_; ++k) largest[k] = std::max(-least_[k], most_[k]);
  return largest;
}

ValueRange ChannelStats::range(std::span<const float> factors) const {
  ValueRange range{0, 0, false};
  for (std::size_t k = 0; k < depth_; ++k) {
    range.least = std::min(range.least, least_[k] * factors[k]);
    range.most = std::max(range.most, most_[k] * factors[k]);
  }
  return range;
}

std::vector<float> smoothing_factors(std::span<const float> largest_inputs, const WeightLayout& layout,
                                     std::span<const float> weight, double alpha) {
  const auto depth = static_cast<std::size_t>(layout.depth);
  std::vector<float> largest(depth, 0.0F);
  for (std::size_t i = 0; i < weight.size(); ++i) {
    float& own = largest[layout.channel(i)];
    own = std::max(own, std::abs(weight[i]));
  }
  std::vector<float> factors(depth, 1.0F);
  for (std::size_t k = 0; k < depth; ++k) {
    if (largest[k] == 0 || largest_inputs[k] == 0) continue;
    const double factor = std::pow(largest_inputs[k], alpha) / std::pow(largest[k], 1 - alpha);
    factors[k] = std::clamp(static_cast<float>(factor), kLeastFactor, kMostFactor);
  }
  return factors;
}

double best_alpha(const ChannelStats& fit, const ChannelStats& trial, bool fixed_range,
                  const WeightLayout& layout, std::span<const float> weight, int threads) {
  const auto depth = static_cast<std::size_t>(layout.depth);
  const std::vector<float> plain = product(trial.rows(), layout, weight, threads);
  double best = 0;
  double least = -1;
  for (const double alpha : {0.0, 0.25, 0.5, 0.75}) {
    std::vector<float> rows = trial.rows();
    std::vector<float> weights(weight.begin(), weight.end());
    std::vector<float> reciprocal(depth, 1.0F);
    if (alpha > 0) {
      const std::vector<float> factors = smoothing_factors(fit.largest(), layout, weight, alpha);
      for (std::size_t k = 0; k < depth; ++k) reciprocal[k] = 1.0F / factors[k];
      for (std::size_t i = 0; i < rows.size(); ++i) rows[i] *= reciprocal[i % depth];
      for (std::size_t i = 0; i < weights.size(); ++i) weights[i] *= factors[layout.channel(i)];
    }
    fake_quantize(layout, Format{}, weights, weights, best_isa(), threads);
    (void)fake_quantize_activation(rows, AffineU8::of_range((fixed_range ? fit : trial).range(reciprocal)),
                                   rows);
    const double distance = squared_distance(plain, product(rows, layout, weights, threads));
    if (least >= 0 && distance >= least) continue;
    least = distance;
    best = alpha;
  }
  return best;
}

}  // namespace qvl
