// Numbers that a model gave out, and how far apart two lists of them are.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/tensor.h"

namespace qvl {

// Any floating tensor as f32. Throws UsageError for another.
[[nodiscard]] std::vector<float> floats_of(const TensorView& tensor);
// Rows (of `width` values) of a floating tensor as f32, in the order of `rows`, each of which must be one of
// its own.
[[nodiscard]] std::vector<float> rows_of(const TensorView& tensor, std::int64_t width,
                                         std::span<const std::int64_t> rows);

[[nodiscard]] bool all_finite(std::span<const float> values);

struct Difference {
  // Largest absolute difference, divided by the largest absolute value of what was expected (by 1 where all
  // are 0). Infinity when the numbers are not as many, there are none, or one is not finite.
  double relative = 0;
  std::size_t at = 0;  // where the largest difference, or the first number that is not finite, is
};
[[nodiscard]] Difference difference_of(std::span<const float> found, std::span<const float> expected);

// Most that outputs may differ from the reference, or from themselves in another batch (docs/architecture.md,
// Bars).
inline constexpr double kF32Bar = 2e-4;
inline constexpr double kF16Bar = 1e-2;
[[nodiscard]] inline double bar_of(DType dtype) { return dtype == DType::f32 ? kF32Bar : kF16Bar; }

}  // namespace qvl
