#include "bench/fma_kernel.h"

#include <fmt/format.h>

#include <array>

#include "qvl/error.h"

#if QVL_X86
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace qvl {
namespace {

constexpr std::size_t kChains = 12;
constexpr float kFactor = 0.5F;
constexpr float kSummand = 1.0F;

#if defined(__aarch64__)
void fma_baseline(float* values, std::int64_t steps) {
  constexpr std::size_t kLanes = 4;
  const float32x4_t factor = vdupq_n_f32(kFactor);
  const float32x4_t summand = vdupq_n_f32(kSummand);
  for (std::size_t first = 0; first < kFmaValues; first += kChains * kLanes) {
    std::array<float32x4_t, kChains> x;
    for (std::size_t c = 0; c < kChains; ++c) x[c] = vld1q_f32(values + first + c * kLanes);
    for (std::int64_t step = 0; step < steps; ++step) {
      for (std::size_t c = 0; c < kChains; ++c) x[c] = vfmaq_f32(summand, x[c], factor);
    }
    for (std::size_t c = 0; c < kChains; ++c) vst1q_f32(values + first + c * kLanes, x[c]);
  }
}
#else
// Without fused instructions. Halving is exact, so that the two roundings are the one of std::fma.
void fma_baseline(float* values, std::int64_t steps) {
  constexpr std::size_t kLanes = 4;
  using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));
  for (std::size_t first = 0; first < kFmaValues; first += kChains * kLanes) {
    std::array<Lanes, kChains> x;
    for (std::size_t i = 0; i < kChains * kLanes; ++i) x[i / kLanes][i % kLanes] = values[first + i];
    for (std::int64_t step = 0; step < steps; ++step) {
      for (std::size_t c = 0; c < kChains; ++c) x[c] = x[c] * kFactor + kSummand;
    }
    for (std::size_t i = 0; i < kChains * kLanes; ++i) values[first + i] = x[i / kLanes][i % kLanes];
  }
}
#endif

#if QVL_X86
QVL_TARGET_AVX2 void fma_avx2(float* values, std::int64_t steps) {
  constexpr std::size_t kLanes = 8;
  const __m256 factor = _mm256_set1_ps(kFactor);
  const __m256 summand = _mm256_set1_ps(kSummand);
  for (std::size_t first = 0; first < kFmaValues; first += kChains * kLanes) {
    __m256 x[kChains];
    for (std::size_t c = 0; c < kChains; ++c) x[c] = _mm256_loadu_ps(values + first + c * kLanes);
    for (std::int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 12
      for (std::size_t c = 0; c < kChains; ++c) x[c] = _mm256_fmadd_ps(x[c], factor, summand);
    }
    for (std::size_t c = 0; c < kChains; ++c) _mm256_storeu_ps(values + first + c * kLanes, x[c]);
  }
}

QVL_TARGET_AVX512 void fma_avx512(float* values, std::int64_t steps) {
  constexpr std::size_t kLanes = 16;
  const __m512 factor = _mm512_set1_ps(kFactor);
  const __m512 summand = _mm512_set1_ps(kSummand);
  __m512 x[kChains];
  for (std::size_t c = 0; c < kChains; ++c) x[c] = _mm512_loadu_ps(values + c * kLanes);
  for (std::int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 12
    for (std::size_t c = 0; c < kChains; ++c) x[c] = _mm512_fmadd_ps(x[c], factor, summand);
  }
  for (std::size_t c = 0; c < kChains; ++c) _mm512_storeu_ps(values + c * kLanes, x[c]);
}
static_assert(kFmaValues == kChains * 16);

constexpr std::array kKernels{fma_baseline, fma_avx2, fma_avx512};
#else
constexpr std::array kKernels{fma_baseline, fma_baseline, fma_baseline};
#endif

}  // namespace

void run_fma(std::span<float> values, std::int64_t steps, Isa isa) {
  if (values.size() != kFmaValues) {
    throw UsageError(fmt::format("{} values for the kernel of {}", values.size(), kFmaValues));
  }
  kKernels[static_cast<std::size_t>(isa)](values.data(), steps);
}

}  // namespace qvl
