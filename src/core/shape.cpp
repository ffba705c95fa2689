#include "core/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace qvl {

std::optional<std::int64_t> element_count(std::span<const std::int64_t> shape) noexcept {
  // A zero anywhere makes the product zero, whatever else there is: sizes that overflow only without it are
  // accepted.
  std::int64_t count = 1;
  bool zero = false;
  for (const std::int64_t dim : shape) {
    if (dim < 0) return std::nullopt;
    if (dim == 0) zero = true;
  }
  if (zero) return 0;
  for (const std::int64_t dim : shape) {
    if (__builtin_mul_overflow(count, dim, &count)) return std::nullopt;
  }
  return count;
}

std::string to_string(std::span<const std::int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape.begin(), shape.end(), ", "));
}

}  // namespace qvl
