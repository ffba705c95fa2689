#include "kernels/dense_kernels.h"

#if QVL_X86

#include <immintrin.h>

#define QVL_LANES_TARGET QVL_TARGET_AVX512
#include "kernels/dense_steps.h"

namespace qvl {
namespace {

struct Lanes {
  using V = __m512;
  static constexpr std::int64_t kWidth = 16;
  static constexpr std::int64_t kRows = 12;  // two vectors of each, and three of the factors: 27 of 32

  QVL_STEP static V load(const float* p) { return _mm512_loadu_ps(p); }
  QVL_STEP static void store(float* p, V x) { _mm512_storeu_ps(p, x); }
  QVL_STEP static V all(float x) { return _mm512_set1_ps(x); }
  QVL_STEP static V multiply_add(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
};

}  // namespace

constexpr DenseKernels kDenseAvx512 = dense_kernels_of<Lanes>();

}  // namespace qvl

#endif
