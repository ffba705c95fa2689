#include "verify/outputs.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "core/convert.h"
#include "qvl/error.h"

namespace qvl {

std::vector<float> floats_of(const TensorView& tensor) {
  std::vector<float> values(tensor.bytes.size() / size_bytes(tensor.dtype));
  convert(tensor.dtype, tensor.bytes, DType::f32, std::as_writable_bytes(std::span(values)));
  return values;
}

std::vector<float> rows_of(const TensorView& tensor, std::int64_t width, std::span<const std::int64_t> rows) {
  const auto count = static_cast<std::size_t>(width);
  const std::size_t row_bytes = count * size_bytes(tensor.dtype);
  std::vector<float> values(rows.size() * count);
  const auto there = static_cast<std::int64_t>(row_bytes == 0 ? 0 : tensor.bytes.size() / row_bytes);
  for (const std::int64_t row : rows) {
    if (row < 0 || row >= there)
      throw InputError(fmt::format("it gives {} rows of {}; row {} is wanted", there, width, row));
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    convert(tensor.dtype, tensor.bytes.subspan(static_cast<std::size_t>(rows[i]) * row_bytes, row_bytes),
            DType::f32, std::as_writable_bytes(std::span(values).subspan(i * count, count)));
  }
  return values;
}

bool all_finite(std::span<const float> values) {
  return std::ranges::all_of(values, [](float x) { return std::isfinite(x); });
}

Difference difference_of(std::span<const float> found, std::span<const float> expected) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (found.size() != expected.size() || found.empty()) return {kInfinity, 0};
  double worst = 0;
  double largest = 0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const double difference = std::abs(static_cast<double>(found[i]) - static_cast<double>(expected[i]));
    if (!std::isfinite(difference)) return {kInfinity, i};
    if (difference > worst) at = i;
    worst = std::max(worst, difference);
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
  }
  return {largest > 0 ? worst / largest : worst, at};
}

}  // namespace qvl
