#include "image/bicubic_weights.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace qvl {
namespace {

constexpr double kSupport = 2.0;

double keys_cubic(double x) {
  constexpr double a = -0.5;
  x = std::fabs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

std::int32_t to_fixed(double weight) {
  const double scaled = weight * (1 << BicubicWeights::kPrecisionBits);
  return static_cast<std::int32_t>(weight < 0 ? scaled - 0.5 : scaled + 0.5);
}

}  // namespace

BicubicWeights bicubic_weights(std::int64_t input, std::int64_t output) {
  // Pillow keeps the box of a resize as floats, so a side beyond 2^24 is rounded.
  const double scale = static_cast<double>(static_cast<float>(input)) / static_cast<double>(output);
  const double filter_scale = std::max(scale, 1.0);
  const double support = kSupport * filter_scale;
  const double inverse_scale = 1.0 / filter_scale;
  const auto most = static_cast<std::int64_t>(std::ceil(support)) * 2 + 1;

  BicubicWeights result;
  result.taps = (std::min(most, input) + BicubicWeights::kTapStep - 1) / BicubicWeights::kTapStep *
                BicubicWeights::kTapStep;
  const auto outputs = static_cast<std::size_t>(output);
  result.first.resize(outputs);
  result.count.resize(outputs);
  result.weight.resize(outputs * static_cast<std::size_t>(result.taps));
  result.high.resize(result.weight.size());
  result.low.resize(result.weight.size());
  std::vector<double> exact(static_cast<std::size_t>(result.taps));
  for (std::size_t i = 0; i < outputs; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    // NOLINTBEGIN(bugprone-incorrect-roundings): cut off after adding a half, as Pillow does
    const auto first = std::max<std::int64_t>(static_cast<std::int64_t>(center - support + 0.5), 0);
    const auto end = std::min<std::int64_t>(static_cast<std::int64_t>(center + support + 0.5), input);
    // NOLINTEND(bugprone-incorrect-roundings)
    const auto count = static_cast<std::size_t>(std::max<std::int64_t>(end - first, 0));
    double sum = 0.0;
    for (std::size_t t = 0; t < count; ++t) {
      exact[t] = keys_cubic((static_cast<double>(static_cast<std::int64_t>(t) + first) - center + 0.5) *
                            inverse_scale);
      sum += exact[t];
    }
    result.first[i] = static_cast<std::int32_t>(first);
    result.count[i] = static_cast<std::int32_t>(count);
    for (std::size_t t = 0; t < count; ++t) {
      const std::int32_t weight = to_fixed(sum != 0.0 ? exact[t] / sum : exact[t]);
      const std::size_t at = i * static_cast<std::size_t>(result.taps) + t;
      result.weight[at] = weight;
      result.high[at] = static_cast<std::int16_t>(weight >> BicubicWeights::kLowBits);
      result.low[at] = static_cast<std::int16_t>(weight & ((1 << BicubicWeights::kLowBits) - 1));
    }
  }
  return result;
}

}  // namespace qvl
