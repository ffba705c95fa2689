#include "quant/quantization_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "qvl/error.h"

namespace qvl {
namespace {

struct LineSums {
  double error = 0;
  double weight = 0;
  float largest = 0;
};

// Of `count` weights and their scales.
void add_line(const std::int8_t* levels, const float* scales, const float* plain, std::int64_t count,
              LineSums& sums) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float off = static_cast<float>(levels[i]) * scales[i] - plain[i];
    sums.error += static_cast<double>(off) * off;
    sums.weight += static_cast<double>(plain[i]) * plain[i];
    sums.largest = std::max(sums.largest, std::abs(off));
  }
}

}  // namespace

QuantizationError& QuantizationError::operator+=(const QuantizationError& other) noexcept {
  squared_error += other.squared_error;
  squared_weight += other.squared_weight;
  largest = std::max(largest, other.largest);
  return *this;
}

double QuantizationError::relative() const noexcept {
  return squared_weight > 0 ? std::sqrt(squared_error / squared_weight) : 0;
}

QuantizationError quantization_error(const QuantizedWeights& weights, std::span<const float> plain) {
  if (plain.size() != weights.levels.size()) {
    throw UsageError(fmt::format("{} weights beside {} quantized ones", plain.size(), weights.levels.size()));
  }
  const WeightLayout& layout = weights.layout;
  const std::int64_t blocks = weights.format.blocks(layout.depth);
  const std::int64_t block = weights.format.block == 0 ? layout.depth : weights.format.block;
  const bool contiguous = layout.axis == DepthAxis::contiguous;
  const std::int64_t length = contiguous ? layout.depth : layout.rows;
  const std::int64_t lines = length == 0 ? 0 : static_cast<std::int64_t>(plain.size()) / length;
  std::vector<float> scales(static_cast<std::size_t>(length));
  LineSums sums;
  for (std::int64_t line = 0; line < lines; ++line) {
    if (contiguous) {
      for (std::int64_t k = 0; k < length; ++k)
        scales[static_cast<std::size_t>(k)] =
            weights.scales[static_cast<std::size_t>(line * blocks + k / block)];
    } else if (line % layout.depth % block == 0) {
      const std::int64_t matrix = line / layout.depth;
      const std::int64_t at = line % layout.depth / block;
      for (std::int64_t r = 0; r < length; ++r) {
        scales[static_cast<std::size_t>(r)] =
            weights.scales[static_cast<std::size_t>((matrix * layout.rows + r) * blocks + at)];
      }
    }
    const auto first = static_cast<std::size_t>(line * length);
    add_line(weights.levels.data() + first, scales.data(), plain.data() + first, length, sums);
  }
  return {sums.error, sums.weight, static_cast<double>(sums.largest)};
}

}  // namespace qvl
