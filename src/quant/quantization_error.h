// How far quantized weights are from the ones that they were made of.
#pragma once

#include <span>

#include "quant/quantized_weights.h"

namespace qvl {

// Sums that add up over the parts of a weight.
struct QuantizationError {
  double squared_error = 0;
  double squared_weight = 0;
  double largest = 0;  // of the absolute errors

  QuantizationError& operator+=(const QuantizationError& other) noexcept;
  // Norm of the error relative to the norm of the weight; 0 for a weight of zeros.
  [[nodiscard]] double relative() const noexcept;
};

// plain: as the weight lies, as many as there are levels; else UsageError.
[[nodiscard]] QuantizationError quantization_error(const QuantizedWeights& weights,
                                                   std::span<const float> plain);

}  // namespace qvl
