#include "core/tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "qvl/error.h"

namespace qvl {

Tensor::Tensor(DType dtype, Shape shape) : dtype_(dtype), shape_(std::move(shape)) {
  const auto count = element_count(shape_);
  std::int64_t size = 0;
  if (!count || __builtin_mul_overflow(*count, static_cast<std::int64_t>(size_bytes(dtype)), &size)) {
    throw InputError(fmt::format("no tensor can have the shape {}", to_string(shape_)));
  }
  bytes_.resize(static_cast<std::size_t>(size));
}

std::int64_t Tensor::count() const noexcept {
  return static_cast<std::int64_t>(bytes_.size() / size_bytes(dtype_));
}

void Tensor::copy_from(std::span<const std::byte> source) {
  if (source.size() != bytes_.size()) {
    throw InputError(fmt::format("a tensor of shape {} and type {} takes {} bytes, {} were given",
                                 to_string(shape_), name(dtype_), bytes_.size(), source.size()));
  }
  std::copy(source.begin(), source.end(), bytes_.begin());
}

void Tensor::check_element_size(std::size_t size) const {
  if (size != size_bytes(dtype_)) {
    throw InputError(
        fmt::format("elements of type {} take {} bytes, not {}", name(dtype_), size_bytes(dtype_), size));
  }
}

}  // namespace qvl
