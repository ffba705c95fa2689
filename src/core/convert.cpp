#include "core/convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/half.h"
#include "qvl/error.h"

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

QVL_ALWAYS_INLINE ConversionStats run(DType from, DType to, const std::byte* source, std::byte* destination,
                                      std::size_t count) {
  if (from == to) {
    return from == DType::f32 ? by_blocks<exact_block<std::uint32_t, false>, 4, 4>(source, destination, count)
                              : by_blocks<exact_block<Half, false>, 2, 2>(source, destination, count);
  }
  if (to == DType::f32) {
    return from == DType::f16 ? by_blocks<exact_block<Half, true>, 2, 4>(source, destination, count)
                              : by_blocks<exact_block<BFloat16, true>, 2, 4>(source, destination, count);
  }
  return from == DType::f32 ? by_blocks<narrow_block<std::uint32_t>, 4, 2>(source, destination, count)
                            : by_blocks<narrow_block<BFloat16>, 2, 2>(source, destination, count);
}

using Kernel = ConversionStats (*)(DType, DType, const std::byte*, std::byte*, std::size_t);

ConversionStats run_scalar(DType from, DType to, const std::byte* s, std::byte* d, std::size_t n) {
  return run(from, to, s, d, n);
}
#if QVL_X86
QVL_TARGET_AVX2 ConversionStats run_avx2(DType from, DType to, const std::byte* s, std::byte* d,
                                         std::size_t n) {
  return run(from, to, s, d, n);
}
QVL_TARGET_AVX512 ConversionStats run_avx512(DType from, DType to, const std::byte* s, std::byte* d,
                                             std::size_t n) {
  return run(from, to, s, d, n);
}
constexpr std::array<Kernel, 3> kKernels{run_scalar, run_avx2, run_avx512};
#else
constexpr std::array<Kernel, 3> kKernels{run_scalar, run_scalar, run_scalar};
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
  return kKernels[static_cast<std::size_t>(isa)](from, to, source.data(), destination.data(), count);
}

}  // namespace qvl
