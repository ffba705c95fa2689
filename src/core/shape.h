// Shapes of tensors whose dimensions are all known.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace qvl {

using Shape = std::vector<std::int64_t>;

// Product of the dimensions; nothing when a dimension is negative or the product does not fit 63 bits.
[[nodiscard]] std::optional<std::int64_t> element_count(std::span<const std::int64_t> shape) noexcept;

// "[2, 3, 4]"
[[nodiscard]] std::string to_string(std::span<const std::int64_t> shape);

// Broadcasting as numpy and ONNX have it: shapes are aligned at their last dimension, and a dimension of 1
// stands for any size.
// Widens `whole` to what holds `shape`, too; false, and `whole` is something between, when they do not go
// together.
[[nodiscard]] bool widen(Shape& whole, std::span<const std::int64_t> shape);
// Steps in elements along the dimensions of `whole` for an operand of this shape that lies row by row; 0 where
// it broadcasts.
[[nodiscard]] std::vector<std::size_t> broadcast_strides(std::span<const std::int64_t> shape,
                                                         const Shape& whole);

}  // namespace qvl
