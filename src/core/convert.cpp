#include "core/convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/half.h"
#include "qvl/error.h"

#if QVL_X86
#include <immintrin.h>
#endif

namespace qvl {
namespace {

constexpr std::size_t kBlock = 1024;  // elements that pass through the stack at a time

template <class T>
QVL_ALWAYS_INLINE float widen(T value) {
  if constexpr (sizeof(T) == 4) {
    return std::bit_cast<float>(value);
  } else {
    return to_float(value);
  }
}

// To float (kWiden), or as it is: exact either way.
template <class From, bool kWiden>
QVL_ALWAYS_INLINE ConversionStats exact_block(const std::byte* source, std::byte* destination,
                                              std::size_t count) {
  std::uint32_t not_finite = 0;
  for (std::size_t i = 0; i < count; ++i) {
    From value;
    std::memcpy(&value, source + i * sizeof(From), sizeof(From));
    const float wide = widen(value);
    not_finite += (std::bit_cast<std::uint32_t>(wide) & 0x7fffffffU) >= 0x7f800000U ? 1U : 0U;
    if constexpr (kWiden) {
      std::memcpy(destination + i * sizeof(float), &wide, sizeof(float));
    } else {
      std::memcpy(destination + i * sizeof(From), &value, sizeof(From));
    }
  }
  return {0, 0, not_finite, 0.0};
}

// 32-bit counters inside a block keep the loop vectorisable.
template <class From>
QVL_ALWAYS_INLINE ConversionStats narrow_block(const std::byte* source, std::byte* destination,
                                               std::size_t count) {
  std::uint32_t overflowed = 0;
  std::uint32_t subnormal = 0;
  std::uint32_t not_finite = 0;
  std::uint32_t worst_bits = 0;  // of a non-negative float: orders as an integer does
  for (std::size_t i = 0; i < count; ++i) {
    From raw;
    std::memcpy(&raw, source + i * sizeof(From), sizeof(From));
    const float value = widen(raw);
    const std::uint32_t magnitude = std::bit_cast<std::uint32_t>(value) & 0x7fffffffU;
    const bool finite = magnitude < 0x7f800000U;
    const float absolute = std::bit_cast<float>(magnitude);
    Half half = to_half(value);
    const bool over = finite && absolute >= 65520.0F;  // rounds to 65536
    half.bits =
        static_cast<std::uint16_t>(half.bits - (over ? 1U : 0U));  // infinity's lower neighbour is 65504
    overflowed += over ? 1U : 0U;
    subnormal += (magnitude != 0U && (half.bits & 0x7c00U) == 0U) ? 1U : 0U;
    not_finite += finite ? 0U : 1U;
    const std::uint32_t error_bits = std::bit_cast<std::uint32_t>(value - to_float(half)) & 0x7fffffffU;
    const std::uint32_t counted = finite ? error_bits : 0U;
    worst_bits = counted > worst_bits ? counted : worst_bits;
    std::memcpy(destination + i * sizeof(Half), &half, sizeof(Half));
  }
  return {overflowed, subnormal, not_finite, static_cast<double>(std::bit_cast<float>(worst_bits))};
}

template <auto kConvertBlock, std::size_t kFromBytes, std::size_t kToBytes>
QVL_ALWAYS_INLINE ConversionStats by_blocks(const std::byte* source, std::byte* destination,
                                            std::size_t count) {
  ConversionStats stats;
  for (std::size_t start = 0; start < count; start += kBlock) {
    stats.merge(kConvertBlock(source + start * kFromBytes, destination + start * kToBytes,
                              std::min(kBlock, count - start)));
  }
  return stats;
}

using NarrowKernel = ConversionStats (*)(const std::byte*, std::byte*, std::size_t);

QVL_ALWAYS_INLINE ConversionStats run_exact(DType from, DType to, const std::byte* source,
                                            std::byte* destination, std::size_t count) {
  if (from == to) {
    return from == DType::f32 ? by_blocks<exact_block<std::uint32_t, false>, 4, 4>(source, destination, count)
                              : by_blocks<exact_block<Half, false>, 2, 2>(source, destination, count);
  }
  return from == DType::f16 ? by_blocks<exact_block<Half, true>, 2, 4>(source, destination, count)
                            : by_blocks<exact_block<BFloat16, true>, 2, 4>(source, destination, count);
}

using ExactKernel = ConversionStats (*)(DType, DType, const std::byte*, std::byte*, std::size_t);

ConversionStats exact_scalar(DType from, DType to, const std::byte* s, std::byte* d, std::size_t n) {
  return run_exact(from, to, s, d, n);
}
template <class From>
ConversionStats narrow_scalar(const std::byte* s, std::byte* d, std::size_t n) {
  return by_blocks<narrow_block<From>, sizeof(From), sizeof(Half)>(s, d, n);
}

#if QVL_X86
QVL_TARGET_AVX2 ConversionStats exact_avx2(DType from, DType to, const std::byte* s, std::byte* d,
                                           std::size_t n) {
  return run_exact(from, to, s, d, n);
}
QVL_TARGET_AVX512 ConversionStats exact_avx512(DType from, DType to, const std::byte* s, std::byte* d,
                                               std::size_t n) {
  return run_exact(from, to, s, d, n);
}

template <class From>
QVL_TARGET_AVX2 inline __m256 load_wide(const std::byte* source) {
  if constexpr (sizeof(From) == 4) {
    return _mm256_loadu_ps(reinterpret_cast<const float*>(source));
  } else {
    const __m128i raw = _mm_loadu_si128(reinterpret_cast<const __m128i*>(source));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(raw), 16));
  }
}

// As narrow_block, by the processor's own conversion. Vectors with a value that does not fit take the scalar
// way. (Wider vectors gain nothing here: memory is the limit.)
template <class From>
QVL_TARGET_AVX2 ConversionStats narrow_avx2(const std::byte* source, std::byte* destination,
                                            std::size_t count) {
  constexpr std::size_t kLanes = 8;
  const __m256i magnitude_mask = _mm256_set1_epi32(0x7fffffff);
  const __m256i last_that_fits = _mm256_set1_epi32(std::bit_cast<std::int32_t>(65520.0F) - 1);
  // Half way between the greatest subnormal and the least normal number; rounds up, to the normal one.
  const __m256i first_normal = _mm256_set1_epi32(std::bit_cast<std::int32_t>(kHalfMinNormal - 0x1p-25F));
  ConversionStats stats;
  __m256i worst = _mm256_setzero_si256();
  const std::size_t whole = count / kLanes * kLanes;
  for (std::size_t i = 0; i < whole; i += kLanes) {
    const __m256 value = load_wide<From>(source + i * sizeof(From));
    const __m256i magnitude = _mm256_and_si256(_mm256_castps_si256(value), magnitude_mask);
    if (_mm256_movemask_epi8(_mm256_cmpgt_epi32(magnitude, last_that_fits)) != 0) {
      stats.merge(narrow_block<From>(source + i * sizeof(From), destination + i * sizeof(Half), kLanes));
      continue;
    }
    const __m128i half = _mm256_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(destination + i * sizeof(Half)), half);
    const __m256i error = _mm256_castps_si256(_mm256_sub_ps(value, _mm256_cvtph_ps(half)));
    worst = _mm256_max_epi32(worst, _mm256_and_si256(error, magnitude_mask));
    const __m256i small = _mm256_and_si256(_mm256_cmpgt_epi32(first_normal, magnitude),
                                           _mm256_cmpgt_epi32(magnitude, _mm256_setzero_si256()));
    stats.subnormal += static_cast<std::uint64_t>(
        std::popcount(static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(small)))));
  }
  alignas(32) std::array<float, kLanes> errors;
  _mm256_store_si256(reinterpret_cast<__m256i*>(errors.data()), worst);
  stats.max_abs_error =
      std::max(stats.max_abs_error, static_cast<double>(*std::max_element(errors.begin(), errors.end())));
  stats.merge(
      narrow_scalar<From>(source + whole * sizeof(From), destination + whole * sizeof(Half), count - whole));
  return stats;
}
constexpr std::array<ExactKernel, 3> kExact{exact_scalar, exact_avx2, exact_avx512};
template <class From>
constexpr std::array<NarrowKernel, 3> kNarrow{narrow_scalar<From>, narrow_avx2<From>, narrow_avx2<From>};
#else
constexpr std::array<ExactKernel, 3> kExact{exact_scalar, exact_scalar, exact_scalar};
template <class From>
constexpr std::array<NarrowKernel, 3> kNarrow{narrow_scalar<From>, narrow_scalar<From>, narrow_scalar<From>};
#endif

}  // namespace

void ConversionStats::merge(const ConversionStats& other) noexcept {
  overflowed += other.overflowed;
  subnormal += other.subnormal;
  not_finite += other.not_finite;
  max_abs_error = std::max(max_abs_error, other.max_abs_error);
}

ConversionStats convert(DType from, std::span<const std::byte> source, DType to,
                        std::span<std::byte> destination, Isa isa) {
  const bool known_from = from == DType::f32 || from == DType::f16 || from == DType::bf16;
  if (!known_from || (to != DType::f32 && to != DType::f16)) {
    throw UsageError(
        fmt::format("no conversion from {} to {}; weights are F32, F16 or BF16 and become F32 or F16",
                    name(from), name(to)));
  }
  const std::size_t count = source.size() / size_bytes(from);
  if (destination.size() / size_bytes(to) != count) {
    throw UsageError(fmt::format("conversion of {} elements into a space for {}", count,
                                 destination.size() / size_bytes(to)));
  }
  const auto level = static_cast<std::size_t>(isa);
  if (to == DType::f32 || from == to)
    return kExact[level](from, to, source.data(), destination.data(), count);
  const auto& narrow = from == DType::f32 ? kNarrow<std::uint32_t> : kNarrow<BFloat16>;
  return narrow[level](source.data(), destination.data(), count);
}

}  // namespace qvl
