// The step of DenseKernels for one instruction set; see kernels/lanes.h. Included by dense_kernels.cpp alone.
#include <cstdint>

#include "kernels/dense_kernels.h"

namespace qvl::QVL_ISA {
namespace {

using L = Lanes;
constexpr auto kRows = static_cast<std::int64_t>(L::kTileRows);
constexpr auto kColumns = static_cast<std::int64_t>(2 * L::kWidth);
static_assert(kProductTileRows % kRows == 0 && kProductTileColumns % kColumns == 0);

QVL_TARGET void multiply(const float* a, const float* b, std::int64_t depth, float* out) {
  L::Floats left[kRows];
  L::Floats right[kRows];
#pragma GCC unroll 16
  for (std::int64_t i = 0; i < kRows; ++i) left[i] = right[i] = L::all(0.0F);
  for (std::int64_t p = 0; p < depth; ++p) {
    const auto b_left = L::load(b);
    const auto b_right = L::load(b + L::kWidth);
#pragma GCC unroll 16
    for (std::int64_t i = 0; i < kRows; ++i) {
      const auto factor = L::all(a[i]);
      left[i] = L::fma(factor, b_left, left[i]);
      right[i] = L::fma(factor, b_right, right[i]);
    }
    a += kRows;
    b += kColumns;
  }
#pragma GCC unroll 16
  for (std::int64_t i = 0; i < kRows; ++i) {
    L::store(out + i * kColumns, left[i]);
    L::store(out + i * kColumns + L::kWidth, right[i]);
  }
}

constexpr DenseKernels kDense{kRows, kColumns, multiply};

}  // namespace
}  // namespace qvl::QVL_ISA
