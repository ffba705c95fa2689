#include "quant/entropy_range.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace qvl {
namespace {

LinearHistogram histogram_of(const std::vector<float>& values) {
  LinearHistogram histogram;
  float magnitude = 0;
  for (const float value : values) magnitude = std::max(magnitude, std::fabs(value));
  histogram.add(values, magnitude);
  return histogram;
}

// Numbers by bin; bin -1 is the first one below zero.
class ByBin {
 public:
  double& operator[](int bin) { return numbers_[static_cast<std::size_t>(bin + 4096)]; }

 private:
  std::vector<double> numbers_ = std::vector<double>(8192);
};

// The header's definition, bin by bin.
double plain(const LinearHistogram& histogram) {
  ByBin counts;
  int a = 0;
  int b = 0;
  for (int bin = 0; bin < 4096; ++bin) {
    const auto below = histogram.counts(LinearHistogram::negative)[static_cast<std::size_t>(bin)];
    const auto above = histogram.counts(LinearHistogram::positive)[static_cast<std::size_t>(bin)];
    counts[-1 - bin] = static_cast<double>(below);
    counts[bin] = static_cast<double>(above);
    if (below != 0) a = bin + 1;
    if (above != 0) b = bin + 1;
  }
  double best = 1e300;
  double threshold = 0;
  for (int i = std::max(a, b); i > 0; i -= 16) {
    const int low = -std::min(a, i);
    const int high = std::min(b, i) - 1;
    const int bins = high - low + 1;
    if (bins < 256 && i != std::max(a, b)) break;
    ByBin p;
    for (int bin = -4096; bin < 4096; ++bin) p[std::clamp(bin, low, high)] += counts[bin];
    ByBin mass;
    ByBin filled;
    for (int bin = low; bin <= high; ++bin) {
      mass[(bin - low) * 256 / bins] += counts[bin];
      filled[(bin - low) * 256 / bins] += p[bin] != 0 ? 1 : 0;
    }
    ByBin q;
    double p_sum = 0;
    double q_sum = 0;
    for (int bin = low; bin <= high; ++bin) {
      const int level = (bin - low) * 256 / bins;
      if (p[bin] != 0) q[bin] = mass[level] == 0 ? 1e-4 : mass[level] / filled[level];
      p_sum += p[bin];
      q_sum += q[bin];
    }
    double divergence = 0;
    for (int bin = low; bin <= high; ++bin) {
      if (p[bin] != 0) divergence += p[bin] / p_sum * std::log(p[bin] / p_sum / (q[bin] / q_sum));
    }
    if (divergence < best) {
      best = divergence;
      threshold = i * histogram.width();
    }
  }
  return threshold;
}

std::vector<float> normal(std::size_t count, float mean, float deviation) {
  std::mt19937 random(9);
  std::normal_distribution<float> distribution(mean, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = distribution(random);
  return values;
}

TEST(EntropyThreshold, FollowsTheDefinition) {
  std::vector<std::vector<float>> cases{normal(20000, 0.0F, 1.0F), normal(20000, 2.0F, 1.0F),
                                        normal(3000, -5.0F, 0.5F)};
  cases.push_back(normal(20000, 0.0F, 1.0F));
  cases.back().insert(cases.back().end(), {30.0F, -25.0F, 28.5F});
  cases.push_back(normal(20000, 0.0F, 1.0F));
  for (float& value : cases.back()) value = std::max(value, 0.0F);  // one side only
  cases.push_back(normal(20000, 0.0F, 1.0F));
  for (float& value : cases.back()) value = -std::exp(value);
  cases.push_back(normal(20000, 0.0F, 1.0F));
  for (float& value : cases.back()) value = value / (1.0F + std::exp(-value));
  for (const auto& values : cases) {
    const LinearHistogram histogram = histogram_of(values);
    EXPECT_EQ(entropy_threshold(histogram), plain(histogram));
  }
}

TEST(EntropyThreshold, LeavesOutliersOutAndKeepsWhatIsEven) {
  std::vector<float> values = normal(200000, 0.0F, 1.0F);
  values.push_back(100.0F);
  const double threshold = entropy_threshold(histogram_of(values));
  EXPECT_GT(threshold, 3.0);
  EXPECT_LT(threshold, 10.0);
  std::vector<float> even;
  for (int i = -50000; i <= 50000; ++i) even.push_back(static_cast<float>(i) * 0.001F);
  EXPECT_GE(entropy_threshold(histogram_of(even)), 49.0);
}

TEST(EntropyThreshold, OfFewValues) {
  EXPECT_EQ(entropy_threshold({}), 0.0);
  EXPECT_GE(entropy_threshold(histogram_of({3.0F})), 3.0);
  EXPECT_GE(entropy_threshold(histogram_of({0.0F, 0.0F})), 0.0);
  EXPECT_GE(entropy_threshold(histogram_of(std::vector<float>(100, -7.0F))), 7.0);
}

}  // namespace
}  // namespace qvl
