// Vectors of each instruction set, with the same names for the same operations, so that a kernel is written
// once. Its steps are in a header NAME_steps.h, over the class Lanes of the namespace that they stand in; the
// source that chooses among the instruction sets at run time includes that header once for each:
//
//   #define QVL_ISA avx2                  // the namespace, named as the Isa
//   #include "kernels/attention_steps.h"  // in qvl::QVL_ISA, each function with QVL_TARGET or QVL_STEP
//   #undef QVL_ISA
//
// The instruction set is an attribute of functions, not a flag of the compiler: what a source compiled with such
// a flag includes could end up in the code for all machines. Steps have no lambdas, which would lack it.
//
// Every Lanes has
//   Floats                             kWidth floats
//   kTileRows                          rows of a tile, two Floats wide, whose sums and factors fit the registers
//   load, store                        of kWidth floats
//   part(p, n, fill)                   of the first n, the others being `fill`
//   all                                all lanes one number
//   fma, add, sub                      a * b + c, rounded once where there is an instruction for it; a + b; a - b
//   greater(a, b)                      the greater; b when one of them is NaN
//   scale_by_exp2(p, t, n, x, floor)   p times 2^n, where n is -126 or more and t is n + 1.5 x 2^23; 0 where
//                                      x < floor
// and those of vector instruction sets
//   Bytes                              kBytes bytes in blocks of 16, taken as integers of 8, 16 or 32 bits
//   load_bytes, store_bytes            of kBytes
//   load_twice(p, stride)              16 bytes from p on in two blocks, 16 from p + stride in the next two
//   load_repeated                      32 bytes, again and again
//   all_32, all_64                     all integers one number
//   pick(bytes, places)                bytes[place], within blocks; 0 where the place is negative
//   mix_low, mix_high                  a's and b's bytes in turn, of the lower or upper halves of blocks
//   multiply_pairs                     of 16 bits: products, each two neighbours added, in 32 bits
//   add_32, shift_left_32<n>, shift_right_32<n>
//   narrow_32, narrow_16               clamped to 16 bits with a sign, to 8 without; in blocks, a's before b's
//   swap_blocks                        each block in its neighbour's place
//   first_of_block<i>                  32 bits
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/isa.h"

#if QVL_X86
#if defined(__GNUC__) && !defined(__clang__)
// GCC's own header starts vectors of AVX-512 from an uninitialized one on purpose (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#endif

#define QVL_TARGET_OF_scalar
#define QVL_TARGET_OF_avx2 QVL_TARGET_AVX2
#define QVL_TARGET_OF_avx512 QVL_TARGET_AVX512
#define QVL_JOIN_TARGET(isa) QVL_TARGET_OF_##isa
#define QVL_JOINED_TARGET(isa) QVL_JOIN_TARGET(isa)
#define QVL_TARGET QVL_JOINED_TARGET(QVL_ISA)
#define QVL_STEP QVL_TARGET QVL_ALWAYS_INLINE

#define QVL_ISA scalar
namespace qvl::QVL_ISA {

// Four floats, which the baseline of each architecture has, in the compilers' own notation.
struct Lanes {
  using Floats = float __attribute__((vector_size(16)));
  using Words = std::uint32_t __attribute__((vector_size(16)));
  static constexpr std::size_t kWidth = 4;
  static constexpr std::size_t kTileRows = 4;

  QVL_STEP static Floats load(const float* p) {
    Floats x;
    std::memcpy(&x, p, sizeof(x));
    return x;
  }
  QVL_STEP static void store(float* p, Floats x) { std::memcpy(p, &x, sizeof(x)); }
  QVL_STEP static Floats part(const float* p, std::size_t n, float fill) {
    Floats x = all(fill);
    for (std::size_t i = 0; i < n; ++i) x[i] = p[i];
    return x;
  }
  QVL_STEP static Floats all(float x) { return Floats{x, x, x, x}; }
  QVL_STEP static Floats fma(Floats a, Floats b, Floats c) { return a * b + c; }
  QVL_STEP static Floats add(Floats a, Floats b) { return a + b; }
  QVL_STEP static Floats sub(Floats a, Floats b) { return a - b; }
  QVL_STEP static Floats greater(Floats a, Floats b) { return a > b ? a : b; }
  QVL_STEP static Floats scale_by_exp2(Floats p, Floats t, Floats, Floats x, float floor) {
    const auto power = std::bit_cast<Floats>((std::bit_cast<Words>(t) + 127U) << 23U);
    return x < all(floor) ? all(0.0F) : p * power;
  }
};

}  // namespace qvl::QVL_ISA
#undef QVL_ISA

#if QVL_X86
#define QVL_ISA avx2
namespace qvl::QVL_ISA {

struct Lanes {
  using Floats = __m256;
  static constexpr std::size_t kWidth = 8;
  static constexpr std::size_t kTileRows = 6;  // two sums each, and three factors: 15 registers of 16

  QVL_STEP static Floats load(const float* p) { return _mm256_loadu_ps(p); }
  QVL_STEP static void store(float* p, Floats x) { _mm256_storeu_ps(p, x); }
  QVL_STEP static Floats part(const float* p, std::size_t n, float fill) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i wanted = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane);
    return _mm256_blendv_ps(_mm256_set1_ps(fill), _mm256_maskload_ps(p, wanted), _mm256_castsi256_ps(wanted));
  }
  QVL_STEP static Floats all(float x) { return _mm256_set1_ps(x); }
  QVL_STEP static Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  QVL_STEP static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  QVL_STEP static Floats sub(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
  QVL_STEP static Floats greater(Floats a, Floats b) { return _mm256_max_ps(a, b); }
  QVL_STEP static Floats scale_by_exp2(Floats p, Floats t, Floats, Floats x, float floor) {
    const __m256i exponent = _mm256_add_epi32(_mm256_castps_si256(t), _mm256_set1_epi32(127));
    const Floats power = _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
    const Floats kept = _mm256_cmp_ps(x, _mm256_set1_ps(floor), _CMP_NLT_UQ);
    return _mm256_and_ps(_mm256_mul_ps(p, power), kept);
  }

  using Bytes = __m256i;
  static constexpr std::int64_t kBytes = 32;

  QVL_STEP static Bytes load_bytes(const void* p) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
  }
  QVL_STEP static void store_bytes(void* p, Bytes x) { _mm256_storeu_si256(static_cast<__m256i*>(p), x); }
  QVL_STEP static Bytes load_twice(const std::uint8_t* p, std::int64_t /*stride*/) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  QVL_STEP static Bytes load_repeated(const void* p) { return load_bytes(p); }
  QVL_STEP static Bytes all_32(std::int32_t x) { return _mm256_set1_epi32(x); }
  QVL_STEP static Bytes all_64(std::int64_t x) { return _mm256_set1_epi64x(x); }
  QVL_STEP static Bytes pick(Bytes bytes, Bytes places) { return _mm256_shuffle_epi8(bytes, places); }
  QVL_STEP static Bytes mix_low(Bytes a, Bytes b) { return _mm256_unpacklo_epi8(a, b); }
  QVL_STEP static Bytes mix_high(Bytes a, Bytes b) { return _mm256_unpackhi_epi8(a, b); }
  QVL_STEP static Bytes multiply_pairs(Bytes a, Bytes b) { return _mm256_madd_epi16(a, b); }
  QVL_STEP static Bytes add_32(Bytes a, Bytes b) { return _mm256_add_epi32(a, b); }
  template <int kBits>
  QVL_STEP static Bytes shift_left_32(Bytes x) {
    return _mm256_slli_epi32(x, kBits);
  }
  template <int kBits>
  QVL_STEP static Bytes shift_right_32(Bytes x) {
    return _mm256_srai_epi32(x, kBits);
  }
  QVL_STEP static Bytes narrow_32(Bytes a, Bytes b) { return _mm256_packs_epi32(a, b); }
  QVL_STEP static Bytes narrow_16(Bytes a, Bytes b) { return _mm256_packus_epi16(a, b); }
  QVL_STEP static Bytes swap_blocks(Bytes x) { return _mm256_permute2x128_si256(x, x, 1); }
  template <int kBlock>
  QVL_STEP static std::int32_t first_of_block(Bytes x) {
    return _mm_cvtsi128_si32(_mm256_extracti128_si256(x, kBlock));
  }
};

}  // namespace qvl::QVL_ISA
#undef QVL_ISA

#define QVL_ISA avx512
namespace qvl::QVL_ISA {

struct Lanes {
  using Floats = __m512;
  static constexpr std::size_t kWidth = 16;
  static constexpr std::size_t kTileRows = 12;  // two sums each, and three factors: 27 registers of 32

  QVL_STEP static Floats load(const float* p) { return _mm512_loadu_ps(p); }
  QVL_STEP static void store(float* p, Floats x) { _mm512_storeu_ps(p, x); }
  QVL_STEP static Floats part(const float* p, std::size_t n, float fill) {
    return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), static_cast<__mmask16>((1U << n) - 1U), p);
  }
  QVL_STEP static Floats all(float x) { return _mm512_set1_ps(x); }
  QVL_STEP static Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  QVL_STEP static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  QVL_STEP static Floats sub(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
  QVL_STEP static Floats greater(Floats a, Floats b) { return _mm512_max_ps(a, b); }
  QVL_STEP static Floats scale_by_exp2(Floats p, Floats, Floats n, Floats x, float floor) {
    return _mm512_maskz_scalef_ps(_mm512_cmp_ps_mask(x, _mm512_set1_ps(floor), _CMP_NLT_UQ), p, n);
  }

  using Bytes = __m512i;
  static constexpr std::int64_t kBytes = 64;

  QVL_STEP static Bytes load_bytes(const void* p) { return _mm512_loadu_si512(p); }
  QVL_STEP static void store_bytes(void* p, Bytes x) { _mm512_storeu_si512(p, x); }
  QVL_STEP static Bytes load_twice(const std::uint8_t* p, std::int64_t stride) {
    const __m128i first = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i second = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + stride));
    return _mm512_mask_broadcast_i32x4(_mm512_broadcast_i32x4(first), 0xff00, second);
  }
  QVL_STEP static Bytes load_repeated(const void* p) {
    return _mm512_broadcast_i64x4(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
  }
  QVL_STEP static Bytes all_32(std::int32_t x) { return _mm512_set1_epi32(x); }
  QVL_STEP static Bytes all_64(std::int64_t x) { return _mm512_set1_epi64(x); }
  QVL_STEP static Bytes pick(Bytes bytes, Bytes places) { return _mm512_shuffle_epi8(bytes, places); }
  QVL_STEP static Bytes mix_low(Bytes a, Bytes b) { return _mm512_unpacklo_epi8(a, b); }
  QVL_STEP static Bytes mix_high(Bytes a, Bytes b) { return _mm512_unpackhi_epi8(a, b); }
  QVL_STEP static Bytes multiply_pairs(Bytes a, Bytes b) { return _mm512_madd_epi16(a, b); }
  QVL_STEP static Bytes add_32(Bytes a, Bytes b) { return _mm512_add_epi32(a, b); }
  template <int kBits>
  QVL_STEP static Bytes shift_left_32(Bytes x) {
    return _mm512_slli_epi32(x, kBits);
  }
  template <int kBits>
  QVL_STEP static Bytes shift_right_32(Bytes x) {
    return _mm512_srai_epi32(x, kBits);
  }
  QVL_STEP static Bytes narrow_32(Bytes a, Bytes b) { return _mm512_packs_epi32(a, b); }
  QVL_STEP static Bytes narrow_16(Bytes a, Bytes b) { return _mm512_packus_epi16(a, b); }
  QVL_STEP static Bytes swap_blocks(Bytes x) { return _mm512_shuffle_i32x4(x, x, 0xb1); }
  template <int kBlock>
  QVL_STEP static std::int32_t first_of_block(Bytes x) {
    return _mm_cvtsi128_si32(_mm512_extracti32x4_epi32(x, kBlock));
  }
};

}  // namespace qvl::QVL_ISA
#undef QVL_ISA
#endif
