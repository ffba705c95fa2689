// Shapes of tensors whose dimensions are all known.
#pragma once

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

}  // namespace qvl
