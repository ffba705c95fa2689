#include "quant/weight_layout.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "qvl/error.h"

namespace qvl {
namespace {

[[noreturn]] void refuse(const Shape& shape, std::string_view what) {
  throw InputError(fmt::format("weight of shape {} where {} is needed", to_string(shape), what));
}

std::int64_t product(const Shape& shape, std::span<const std::int64_t> dims) {
  const auto count = element_count(dims);
  if (!count || !element_count(shape))
    refuse(shape, "a shape of fewer than 2^63 elements, none of them negative,");
  return *count;
}

}  // namespace

WeightLayout WeightLayout::of_matmul(const Shape& shape) {
  if (shape.empty()) refuse(shape, "[..., K, N] (MatMul)");
  if (shape.size() == 1) return {1, 1, product(shape, shape), DepthAxis::contiguous};
  const std::span<const std::int64_t> stacked(shape.data(), shape.size() - 2);
  return {product(shape, stacked), shape[shape.size() - 1], shape[shape.size() - 2], DepthAxis::strided};
}

WeightLayout WeightLayout::of_gemm(const Shape& shape, bool transposed) {
  if (shape.size() != 2) refuse(shape, transposed ? "[N, K] (Gemm with transB)" : "[K, N] (Gemm)");
  if (!transposed) return of_matmul(shape);
  (void)product(shape, shape);
  return {1, shape[0], shape[1], DepthAxis::contiguous};
}

WeightLayout WeightLayout::of_conv(const Shape& shape) {
  if (shape.size() < 3) refuse(shape, "[O, I / groups, ...] (Conv)");
  return {1, shape[0], product(shape, std::span(shape).subspan(1)), DepthAxis::contiguous};
}

std::size_t WeightLayout::elements() const {
  const auto count = element_count(std::array{matrices, rows, depth});
  if (!count) {
    throw InputError(
        fmt::format("{} matrices of {} output channels of {} weights: negative or too many to count",
                    matrices, rows, depth));
  }
  return static_cast<std::size_t>(*count);
}

}  // namespace qvl
