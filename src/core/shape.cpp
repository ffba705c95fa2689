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

bool widen(Shape& whole, std::span<const std::int64_t> shape) {
  if (shape.size() > whole.size()) whole.insert(whole.begin(), shape.size() - whole.size(), 1);
  for (std::size_t i = 0; i < shape.size(); ++i) {
    std::int64_t& size = whole[whole.size() - shape.size() + i];
    if (size != shape[i] && size != 1 && shape[i] != 1) return false;
    if (size == 1) size = shape[i];
  }
  return true;
}

std::vector<std::size_t> broadcast_strides(std::span<const std::int64_t> shape, const Shape& whole) {
  std::vector<std::size_t> strides(whole.size(), 0);
  std::size_t stride = 1;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const auto size = static_cast<std::size_t>(shape[shape.size() - 1 - i]);
    if (size != 1) strides[whole.size() - 1 - i] = stride;
    stride *= size;
  }
  return strides;
}

}  // namespace qvl
