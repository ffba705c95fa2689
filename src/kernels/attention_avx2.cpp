#include "kernels/attention_kernels.h"

#if QVL_X86

#include <immintrin.h>

#define QVL_LANES_TARGET QVL_TARGET_AVX2
#include "kernels/attention_steps.h"

namespace qvl {
namespace {

struct Lanes {
  using V = __m256;
  static constexpr std::size_t kWidth = 8;
  static constexpr std::size_t kTileRows = 6;  // two vectors of each, and two of the other factor: 14 of 16

  QVL_STEP static V load(const float* p) { return _mm256_loadu_ps(p); }
  QVL_STEP static void store(float* p, V x) { _mm256_storeu_ps(p, x); }
  QVL_STEP static V part(const float* p, std::size_t n, float fill) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i wanted = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane);
    return _mm256_blendv_ps(_mm256_set1_ps(fill), _mm256_maskload_ps(p, wanted), _mm256_castsi256_ps(wanted));
  }
  QVL_STEP static V all(float x) { return _mm256_set1_ps(x); }
  QVL_STEP static V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
  QVL_STEP static V add(V a, V b) { return _mm256_add_ps(a, b); }
  QVL_STEP static V sub(V a, V b) { return _mm256_sub_ps(a, b); }
  QVL_STEP static V greater(V a, V b) { return _mm256_max_ps(a, b); }
  // n is at least -126 where x is not below the floor, so that the power is no subnormal number.
  QVL_STEP static V scale_by_exp2(V p, V t, V, V x) {
    const __m256i exponent = _mm256_add_epi32(_mm256_castps_si256(t), _mm256_set1_epi32(127));
    const V power = _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
    const V kept = _mm256_cmp_ps(x, _mm256_set1_ps(kExpFloor), _CMP_NLT_UQ);
    return _mm256_and_ps(_mm256_mul_ps(p, power), kept);
  }
};

}  // namespace

constexpr AttentionKernels kAttentionAvx2 = kernels_of<Lanes>();

}  // namespace qvl

#endif
