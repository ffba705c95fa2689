#include "kernels/attention_kernels.h"

#if QVL_X86

#if defined(__GNUC__) && !defined(__clang__)
// GCC's own header starts such vectors from an uninitialized one on purpose (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#define QVL_LANES_TARGET QVL_TARGET_AVX512
#include "kernels/attention_steps.h"

namespace qvl {
namespace {

struct Lanes {
  using V = __m512;
  static constexpr std::size_t kWidth = 16;
  static constexpr std::size_t kTileRows = 12;  // two vectors of each, and two of the other factor: 26 of 32

  QVL_STEP static V load(const float* p) { return _mm512_loadu_ps(p); }
  QVL_STEP static void store(float* p, V x) { _mm512_storeu_ps(p, x); }
  QVL_STEP static V part(const float* p, std::size_t n, float fill) {
    return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), static_cast<__mmask16>((1U << n) - 1U), p);
  }
  QVL_STEP static V all(float x) { return _mm512_set1_ps(x); }
  QVL_STEP static V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
  QVL_STEP static V add(V a, V b) { return _mm512_add_ps(a, b); }
  QVL_STEP static V sub(V a, V b) { return _mm512_sub_ps(a, b); }
  QVL_STEP static V greater(V a, V b) { return _mm512_max_ps(a, b); }
  QVL_STEP static V scale_by_exp2(V p, V, V n, V x) {
    return _mm512_maskz_scalef_ps(_mm512_cmp_ps_mask(x, _mm512_set1_ps(kExpFloor), _CMP_NLT_UQ), p, n);
  }
};

}  // namespace

constexpr AttentionKernels kAttentionAvx512 = kernels_of<Lanes>();

}  // namespace qvl

#endif
