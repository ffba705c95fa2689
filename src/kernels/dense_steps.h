// DenseKernels over the vectors of any instruction set. A file includes this once, after it has defined
// QVL_LANES_TARGET, the target attribute of everything here (or nothing), and before it defines the type
// `Lanes` that the steps take:
//
//   V                     a vector of kWidth floats; kRows: rows of a strip
//   load, store           of kWidth floats
//   all, multiply_add     all lanes one number; a * b + c
#pragma once

#include <cstdint>

#include "kernels/dense_kernels.h"

#define QVL_STEP QVL_LANES_TARGET QVL_ALWAYS_INLINE

namespace qvl {
namespace {

template <class L>
QVL_LANES_TARGET void multiply(const float* a, const float* b, std::int64_t depth, float* out) {
  typename L::V left[L::kRows];
  typename L::V right[L::kRows];
#pragma GCC unroll 16
  for (std::int64_t i = 0; i < L::kRows; ++i) left[i] = right[i] = L::all(0.0F);
  for (std::int64_t p = 0; p < depth; ++p) {
    const auto b_left = L::load(b);
    const auto b_right = L::load(b + L::kWidth);
#pragma GCC unroll 16
    for (std::int64_t i = 0; i < L::kRows; ++i) {
      const auto factor = L::all(a[i]);
      left[i] = L::multiply_add(factor, b_left, left[i]);
      right[i] = L::multiply_add(factor, b_right, right[i]);
    }
    a += L::kRows;
    b += 2 * L::kWidth;
  }
#pragma GCC unroll 16
  for (std::int64_t i = 0; i < L::kRows; ++i) {
    L::store(out + i * 2 * L::kWidth, left[i]);
    L::store(out + i * 2 * L::kWidth + L::kWidth, right[i]);
  }
}

template <class L>
constexpr DenseKernels dense_kernels_of() {
  static_assert(kProductTileRows % L::kRows == 0 && kProductTileColumns % (2 * L::kWidth) == 0);
  return {L::kRows, 2 * L::kWidth, multiply<L>};
}

}  // namespace
}  // namespace qvl
