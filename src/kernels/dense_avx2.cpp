#include "kernels/dense_kernels.h"

#if QVL_X86

#include <immintrin.h>

#define QVL_LANES_TARGET QVL_TARGET_AVX2
#include "kernels/dense_steps.h"

namespace qvl {
namespace {

struct Lanes {
  using V = __m256;
  static constexpr std::int64_t kWidth = 8;
  static constexpr std::int64_t kRows = 6;  // two vectors of each, and three of the factors: 15 of 16

  QVL_STEP static V load(const float* p) { return _mm256_loadu_ps(p); }
  QVL_STEP static void store(float* p, V x) { _mm256_storeu_ps(p, x); }
  QVL_STEP static V all(float x) { return _mm256_set1_ps(x); }
  QVL_STEP static V multiply_add(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
};

}  // namespace

constexpr DenseKernels kDenseAvx2 = dense_kernels_of<Lanes>();

}  // namespace qvl

#endif
