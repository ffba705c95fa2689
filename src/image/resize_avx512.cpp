#include "image/resize_kernels.h"

#if QVL_X86

#if defined(__GNUC__) && !defined(__clang__)
// GCC's own header starts such vectors from an uninitialized one on purpose (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include <cstring>

namespace qvl {
namespace {

constexpr int kPrecision = BicubicWeights::kPrecisionBits;
constexpr int kLowBits = BicubicWeights::kLowBits;
constexpr std::int64_t kRows = 8;  // at a time, two in each vector

// As in the AVX2 kernel, for two rows: four pixels of each become pairs of 16-bit values.
QVL_TARGET_AVX512 inline __m512i pixel_pairs() {
  return _mm512_broadcast_i64x4(_mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1,  //
                                                 6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1));
}

QVL_TARGET_AVX512 inline __m512i load_weights(const std::int16_t* weights) {
  long long four = 0;
  std::memcpy(&four, weights, sizeof(four));
  const __m512i spread =
      _mm512_broadcast_i64x4(_mm256_setr_epi8(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3,  //
                                              4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7));
  return _mm512_shuffle_epi8(_mm512_set1_epi64(four), spread);
}

QVL_TARGET_AVX512 inline __m512i load_two_rows(const std::uint8_t* row, std::int64_t stride) {
  const __m128i first = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row));
  const __m128i second = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + stride));
  return _mm512_mask_broadcast_i32x4(_mm512_broadcast_i32x4(first), 0xff00, second);
}

// Writes one pixel of two rows; with `spill` also a byte behind each, which the next pixels overwrite.
QVL_TARGET_AVX512 inline void store_pixels(__m512i high, __m512i low, std::uint8_t* out, std::int64_t stride,
                                           bool spill) {
  const __m512i both = _mm512_add_epi32(_mm512_slli_epi32(high, kLowBits), low);
  // Lanes 0 and 1 hold the first row's even and odd pairs of taps, lanes 2 and 3 the second row's.
  __m512i sum = _mm512_add_epi32(both, _mm512_shuffle_i32x4(both, both, 0xb1));
  sum = _mm512_srai_epi32(_mm512_add_epi32(sum, _mm512_set1_epi32(BicubicWeights::kHalf)), kPrecision);
  sum = _mm512_packs_epi32(sum, sum);
  sum = _mm512_packus_epi16(sum, sum);
  const int pixels[2] = {_mm_cvtsi128_si32(_mm512_castsi512_si128(sum)),
                         _mm_cvtsi128_si32(_mm512_extracti32x4_epi32(sum, 2))};
  for (int r = 0; r < 2; ++r) {
    std::memcpy(out + r * stride, &pixels[r], 3);
    if (spill) std::memcpy(out + r * stride, &pixels[r], 4);
  }
}

QVL_TARGET_AVX512 inline void resize_row_group(const RowPass& pass, std::int64_t y) {
  const BicubicWeights& w = *pass.weights;
  const std::int64_t in_stride = pass.in_width * 3;
  const std::int64_t out_stride = pass.out_width * 3;
  const std::uint8_t* in = pass.in + y * in_stride;
  std::uint8_t* out = pass.out + y * out_stride;
  const __m512i pairs = pixel_pairs();
  for (std::int64_t x = 0; x < pass.out_width; ++x) {
    const std::uint8_t* pixel = in + std::int64_t{w.first[static_cast<std::size_t>(x)]} * 3;
    const std::int64_t start = x * w.taps;
    const std::int64_t count = w.count[static_cast<std::size_t>(x)];
    __m512i high[kRows / 2];
    __m512i low[kRows / 2];
    for (std::int64_t r = 0; r < kRows / 2; ++r) high[r] = low[r] = _mm512_setzero_si512();
    for (std::int64_t t = 0; t < count; t += 4, pixel += 12) {
      const __m512i weight_high = load_weights(w.high.data() + start + t);
      const __m512i weight_low = load_weights(w.low.data() + start + t);
      for (std::int64_t r = 0; r < kRows / 2; ++r) {
        const __m512i four = _mm512_shuffle_epi8(load_two_rows(pixel + 2 * r * in_stride, in_stride), pairs);
        high[r] = _mm512_add_epi32(high[r], _mm512_madd_epi16(four, weight_high));
        low[r] = _mm512_add_epi32(low[r], _mm512_madd_epi16(four, weight_low));
      }
    }
    for (std::int64_t r = 0; r < kRows / 2; ++r) {
      store_pixels(high[r], low[r], out + 2 * r * out_stride + x * 3, out_stride, x + 1 < pass.out_width);
    }
  }
}

// The sums of 64 neighbouring bytes, in the order of the unpack instructions.
struct Sums {
  __m512i high[4];
  __m512i low[4];
};

QVL_TARGET_AVX512 inline void add_pair(Sums& sums, __m512i a, __m512i b, __m512i weight_high,
                                       __m512i weight_low) {
  const __m512i zero = _mm512_setzero_si512();
  const __m512i first = _mm512_unpacklo_epi8(a, b);
  const __m512i second = _mm512_unpackhi_epi8(a, b);
  const __m512i pairs[4] = {_mm512_unpacklo_epi8(first, zero), _mm512_unpackhi_epi8(first, zero),
                            _mm512_unpacklo_epi8(second, zero), _mm512_unpackhi_epi8(second, zero)};
  for (int i = 0; i < 4; ++i) {
    sums.high[i] = _mm512_add_epi32(sums.high[i], _mm512_madd_epi16(pairs[i], weight_high));
    sums.low[i] = _mm512_add_epi32(sums.low[i], _mm512_madd_epi16(pairs[i], weight_low));
  }
}

QVL_TARGET_AVX512 inline __m512i load_weight_pair(const std::int16_t* weights) {
  int pair = 0;
  std::memcpy(&pair, weights, sizeof(pair));
  return _mm512_set1_epi32(pair);
}

QVL_TARGET_AVX512 inline void store_sums(const Sums& sums, std::uint8_t* out) {
  __m512i value[4];
  for (int i = 0; i < 4; ++i) {
    const __m512i sum = _mm512_add_epi32(_mm512_slli_epi32(sums.high[i], kLowBits), sums.low[i]);
    value[i] = _mm512_srai_epi32(_mm512_add_epi32(sum, _mm512_set1_epi32(BicubicWeights::kHalf)), kPrecision);
  }
  const __m512i bytes =
      _mm512_packus_epi16(_mm512_packs_epi32(value[0], value[1]), _mm512_packs_epi32(value[2], value[3]));
  _mm512_storeu_si512(out, bytes);
}

}  // namespace

QVL_TARGET_AVX512 void resize_rows_avx512(const RowPass& pass) {
  std::int64_t y = 0;
  for (; y + kRows <= pass.rows; y += kRows) resize_row_group(pass, y);
  RowPass rest = pass;
  rest.in += y * pass.in_width * 3;
  rest.out += y * pass.out_width * 3;
  rest.rows -= y;
  resize_rows_avx2(rest);
}

QVL_TARGET_AVX512 void resize_columns_avx512(const ColumnPass& pass) {
  constexpr std::int64_t kBlock = 64;
  if (pass.row_bytes < kBlock) {
    resize_columns_avx2(pass);
    return;
  }
  const BicubicWeights& w = *pass.weights;
  const std::int64_t stride = pass.row_bytes;
  for (std::int64_t y = 0; y < pass.out_rows; ++y) {
    const std::uint8_t* in = pass.in + std::int64_t{w.first[static_cast<std::size_t>(y)]} * stride;
    const std::int64_t count = w.count[static_cast<std::size_t>(y)];
    for (std::int64_t start = 0; start < stride; start += kBlock) {
      const std::int64_t x = start + kBlock <= stride ? start : stride - kBlock;  // the last block overlaps
      Sums sums{};
      for (std::int64_t t = 0; t < count; t += 2) {
        const std::uint8_t* a = in + t * stride + x;
        const std::uint8_t* b = t + 1 < count ? a + stride : a;  // its weight is zero then
        const std::int64_t at = y * w.taps + t;
        add_pair(sums, _mm512_loadu_si512(a), _mm512_loadu_si512(b), load_weight_pair(w.high.data() + at),
                 load_weight_pair(w.low.data() + at));
      }
      store_sums(sums, pass.out + y * stride + x);
    }
  }
}

}  // namespace qvl

#endif
