#include "image/resize_kernels.h"

#if QVL_X86

#include <immintrin.h>

#include <cstring>

namespace qvl {
namespace {

constexpr int kPrecision = BicubicWeights::kPrecisionBits;
constexpr int kLowBits = BicubicWeights::kLowBits;

// Four pixels in 12 bytes become pairs of 16-bit values: of the first two pixels (r r, g g, b b, 0 0) in the
// lower half, of the other two in the upper half, so that one multiply-add instruction takes two taps of
// every channel.
QVL_TARGET_AVX2 inline __m256i pixel_pairs() {
  return _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1,  //
                          6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
}

// Four 16-bit weights, first two everywhere in the lower half, the other two everywhere in the upper half.
QVL_TARGET_AVX2 inline __m256i load_weights(const std::int16_t* weights) {
  long long four = 0;
  std::memcpy(&four, weights, sizeof(four));
  const __m256i spread = _mm256_setr_epi8(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3,  //
                                          4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7);
  return _mm256_shuffle_epi8(_mm256_set1_epi64x(four), spread);
}

QVL_TARGET_AVX2 inline __m256i load_twice(const std::uint8_t* bytes) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
}

// Writes one pixel; with `spill` also a byte behind it, which the next pixel overwrites.
QVL_TARGET_AVX2 inline void store_pixel(__m256i high, __m256i low, std::uint8_t* out, bool spill) {
  const __m256i both = _mm256_add_epi32(_mm256_slli_epi32(high, kLowBits), low);
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
  sum = _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(BicubicWeights::kHalf)), kPrecision);
  sum = _mm_packs_epi32(sum, sum);
  const int pixel = _mm_cvtsi128_si32(_mm_packus_epi16(sum, sum));
  std::memcpy(out, &pixel, 3);
  if (spill) std::memcpy(out, &pixel, 4);
}

template <int kRows>
QVL_TARGET_AVX2 inline void resize_row_group(const RowPass& pass, std::int64_t y) {
  const BicubicWeights& w = *pass.weights;
  const std::int64_t in_stride = pass.in_width * 3;
  const std::int64_t out_stride = pass.out_width * 3;
  const std::uint8_t* in = pass.in + y * in_stride;
  std::uint8_t* out = pass.out + y * out_stride;
  const __m256i pairs = pixel_pairs();
  for (std::int64_t x = 0; x < pass.out_width; ++x) {
    const std::uint8_t* pixel = in + std::int64_t{w.first[static_cast<std::size_t>(x)]} * 3;
    const std::int64_t start = x * w.taps;
    const std::int64_t count = w.count[static_cast<std::size_t>(x)];
    __m256i high[kRows];
    __m256i low[kRows];
    for (int r = 0; r < kRows; ++r) high[r] = low[r] = _mm256_setzero_si256();
    for (std::int64_t t = 0; t < count; t += 4, pixel += 12) {
      const __m256i weight_high = load_weights(w.high.data() + start + t);
      const __m256i weight_low = load_weights(w.low.data() + start + t);
      for (int r = 0; r < kRows; ++r) {
        const __m256i four = _mm256_shuffle_epi8(load_twice(pixel + r * in_stride), pairs);
        high[r] = _mm256_add_epi32(high[r], _mm256_madd_epi16(four, weight_high));
        low[r] = _mm256_add_epi32(low[r], _mm256_madd_epi16(four, weight_low));
      }
    }
    for (int r = 0; r < kRows; ++r)
      store_pixel(high[r], low[r], out + r * out_stride + x * 3, x + 1 < pass.out_width);
  }
}

// The sums of 32 neighbouring bytes in four vectors, each lane 8 bytes further: order of the unpack
// instructions.
struct Sums {
  __m256i high[4];
  __m256i low[4];
};

QVL_TARGET_AVX2 inline void add_pair(Sums& sums, __m256i a, __m256i b, __m256i weight_high,
                                     __m256i weight_low) {
  const __m256i zero = _mm256_setzero_si256();
  const __m256i first = _mm256_unpacklo_epi8(a, b);
  const __m256i second = _mm256_unpackhi_epi8(a, b);
  const __m256i pairs[4] = {_mm256_unpacklo_epi8(first, zero), _mm256_unpackhi_epi8(first, zero),
                            _mm256_unpacklo_epi8(second, zero), _mm256_unpackhi_epi8(second, zero)};
  for (int i = 0; i < 4; ++i) {
    sums.high[i] = _mm256_add_epi32(sums.high[i], _mm256_madd_epi16(pairs[i], weight_high));
    sums.low[i] = _mm256_add_epi32(sums.low[i], _mm256_madd_epi16(pairs[i], weight_low));
  }
}

QVL_TARGET_AVX2 inline __m256i load_weight_pair(const std::int16_t* weights) {
  int pair = 0;
  std::memcpy(&pair, weights, sizeof(pair));
  return _mm256_set1_epi32(pair);
}

QVL_TARGET_AVX2 inline void store_sums(const Sums& sums, std::uint8_t* out) {
  __m256i value[4];
  for (int i = 0; i < 4; ++i) {
    const __m256i sum = _mm256_add_epi32(_mm256_slli_epi32(sums.high[i], kLowBits), sums.low[i]);
    value[i] = _mm256_srai_epi32(_mm256_add_epi32(sum, _mm256_set1_epi32(BicubicWeights::kHalf)), kPrecision);
  }
  const __m256i bytes =
      _mm256_packus_epi16(_mm256_packs_epi32(value[0], value[1]), _mm256_packs_epi32(value[2], value[3]));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), bytes);
}

QVL_TARGET_AVX2 inline __m256i load32(const std::uint8_t* bytes) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes));
}

}  // namespace

QVL_TARGET_AVX2 void resize_rows_avx2(const RowPass& pass) {
  std::int64_t y = 0;
  for (; y + 4 <= pass.rows; y += 4) resize_row_group<4>(pass, y);
  for (; y < pass.rows; ++y) resize_row_group<1>(pass, y);
}

QVL_TARGET_AVX2 void resize_columns_avx2(const ColumnPass& pass) {
  constexpr std::int64_t kBlock = 32;
  if (pass.row_bytes < kBlock) {
    resize_columns_scalar(pass);
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
        add_pair(sums, load32(a), load32(b), load_weight_pair(w.high.data() + at),
                 load_weight_pair(w.low.data() + at));
      }
      store_sums(sums, pass.out + y * stride + x);
    }
  }
}

}  // namespace qvl

#endif
