// How the weight of a quantizable op lies in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/shape.h"

namespace qvl {

enum class DepthAxis {
  contiguous,  // the weights of an output channel lie side by side: [matrices, rows, depth]
  strided,     // the output channels lie side by side: [matrices, depth, rows]
};

struct WeightLayout {
  std::int64_t matrices = 1;  // stacked, each with output channels of its own
  std::int64_t rows = 0;      // output channels of a matrix
  std::int64_t depth = 0;     // weights of an output channel: what is summed over
  DepthAxis axis = DepthAxis::contiguous;

  // The second operand of a MatMul: [..., K, N], or [K], which has one output channel.
  static WeightLayout of_matmul(const Shape& shape);
  // The second operand of a Gemm: [K, N], or [N, K] with transB.
  static WeightLayout of_gemm(const Shape& shape, bool transposed);
  // A Conv's: [O, I / groups, ...]; an output channel is all but the first axis.
  static WeightLayout of_conv(const Shape& shape);

  // All three above throw InputError for a rank that the op cannot have and for impossible dimensions.

  // Throws InputError when a number is negative or the product too large.
  [[nodiscard]] std::size_t elements() const;
  // Where weight k of output channel r of a matrix lies.
  [[nodiscard]] std::size_t index(std::int64_t matrix, std::int64_t row, std::int64_t k) const noexcept {
    return static_cast<std::size_t>(axis == DepthAxis::contiguous ? (matrix * rows + row) * depth + k
                                                                  : (matrix * depth + k) * rows + row);
  }

  // Which weight of its output channel (k above) lies at place i.
  [[nodiscard]] std::size_t channel(std::size_t i) const noexcept {
    const auto d = static_cast<std::size_t>(depth);
    return axis == DepthAxis::contiguous ? i % d : i / static_cast<std::size_t>(rows) % d;
  }

  bool operator==(const WeightLayout&) const = default;
};

}  // namespace qvl
