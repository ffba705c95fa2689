#include "sensitivity/baselines.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/sha256.h"
#include "quant/format.h"
#include "qvl/error.h"

namespace qvl {
namespace {

double stored(const MeasurementStore& store, const MeasurementKey& key) {
  const auto numbers = store.find(key);
  if (numbers && !numbers->empty()) return numbers->front();
  throw InputError("the measurement \"" + key.kind + "\" of unit " + key.unit + " is missing");
}

double chance(const std::string& unit) {
  const std::string digits = sha256_of(unit).substr(0, 12);  // 48 bits
  return static_cast<double>(std::stoull(digits, nullptr, 16)) / std::ldexp(1.0, 48);
}

}  // namespace

double baseline_score(const RunSettings& settings, const MeasurementStore& store, const std::string& unit,
                      const std::string& format) {
  const MeasurementKeys keys = settings.keys();
  if (settings.criterion == Criterion::random) return chance(unit);
  if (settings.criterion == Criterion::weight_mse)
    return stored(store, keys.of("", unit, parse_format(format), "weight"));
  double variance = 0;
  for (const std::string& sample : settings.samples)
    variance += stored(store, {sample, unit, "", "input variance", ""});
  variance /= static_cast<double>(settings.samples.size());
  const double noise = stored(store, {"", unit, "", "int8 asymmetric noise", ""});
  return variance / (noise + std::numeric_limits<float>::epsilon());
}

double mean_variance(const TensorView& input) {
  const auto width = input.shape.empty() ? std::size_t{1} : static_cast<std::size_t>(input.shape.back());
  const std::size_t count = input.bytes.size() / sizeof(float);
  if (width == 0 || count == 0) return 0;
  const auto* values = reinterpret_cast<const float*>(input.bytes.data());
  const std::size_t rows = count / width;
  std::vector<double> sum(width, 0);
  std::vector<double> squares(width, 0);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < width; ++c) {
      const double v = values[r * width + c];
      sum[c] += v;
      squares[c] += v * v;
    }
  }
  double total = 0;
  for (std::size_t c = 0; c < width; ++c) {
    const double mean = sum[c] / static_cast<double>(rows);
    total += std::max(0.0, squares[c] / static_cast<double>(rows) - mean * mean);
  }
  return total / static_cast<double>(width);
}

double int8_asymmetric_noise(const WeightLayout& layout, std::span<const float> weight) {
  double worst = 0;
  for (std::int64_t m = 0; m < layout.matrices; ++m) {
    for (std::int64_t r = 0; r < layout.rows; ++r) {
      double low = 0;
      double high = 0;
      for (std::int64_t k = 0; k < layout.depth; ++k) {
        const double v = weight[layout.index(m, r, k)];
        low = std::min(low, v);
        high = std::max(high, v);
      }
      const double step = high > low ? (high - low) / 255 : 1;
      const double zero = std::nearbyint(-low / step);
      double sum = 0;
      for (std::int64_t k = 0; k < layout.depth; ++k) {
        const double v = weight[layout.index(m, r, k)];
        const double level = std::clamp(std::nearbyint(v / step) + zero, 0.0, 255.0);
        const double d = (level - zero) * step - v;
        sum += d * d;
      }
      if (layout.depth > 0) worst = std::max(worst, sum / static_cast<double>(layout.depth));
    }
  }
  return worst;
}

}  // namespace qvl
