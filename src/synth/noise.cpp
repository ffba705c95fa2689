#include "synth/noise.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/convert.h"
#include "core/half.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::uint64_t kStreamElements = std::uint64_t{1} << 32U;  // that one key is for
constexpr std::size_t kBlock = 1024;                                // elements in one loop of vector code

std::uint64_t fnv1a(std::string_view text) noexcept {
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
  return hash;
}

// The output of SplitMix64 for this state.
std::uint64_t split_mix(std::uint64_t state) noexcept {
  state = (state ^ (state >> 30U)) * 0xBF58476D1CE4E5B9U;
  state = (state ^ (state >> 27U)) * 0x94D049BB133111EBU;
  return state ^ (state >> 31U);
}
constexpr std::uint64_t kGamma = 0x9E3779B97F4A7C15U;

struct Stream {
  Noise::Key key;
  float mean;
  float step;
};

QVL_ALWAYS_INLINE float draw(const Stream& stream, std::uint32_t index) {
  std::uint32_t x = index ^ stream.key[0];
  x = (x ^ (x >> 17U)) * 0xED5AD4BBU ^ stream.key[1];
  x = (x ^ (x >> 11U)) * 0xAC4C1B51U ^ stream.key[2];
  x = (x ^ (x >> 15U)) * 0x31848BABU;
  x ^= x >> 14U;
  std::uint32_t y = (x ^ stream.key[3]) * 0x9E3779B1U;
  y ^= y >> 15U;
  const std::uint32_t sum = (x & 0xFFFFU) + (x >> 16U) + (y & 0xFFFFU) + (y >> 16U);
  // The sum less its mean is below 2^18, exact in float.
  return stream.mean + stream.step * static_cast<float>(static_cast<std::int32_t>(sum) - 2 * 0xFFFF);
}

template <class T>
QVL_ALWAYS_INLINE T rounded(float value) {
  if constexpr (std::is_same_v<T, float>) {
    return value;
  } else {
    return to_bfloat16(value);
  }
}

// The stream is a copy, so that the compiler knows that what is written does not change it.
template <class T>
QVL_ALWAYS_INLINE void fill_as(const Stream stream, std::uint32_t first, std::byte* destination,
                               std::size_t count) {
  for (std::size_t start = 0; start < count; start += kBlock) {
    const auto block_first = static_cast<std::uint32_t>(first + start);
    const auto size = static_cast<std::uint32_t>(std::min(kBlock, count - start));
    std::byte* block = destination + start * sizeof(T);
    for (std::uint32_t i = 0; i < size; ++i) {
      const T value = rounded<T>(draw(stream, block_first + i));
      std::memcpy(block + i * sizeof(T), &value, sizeof(T));
    }
  }
}

QVL_ALWAYS_INLINE void run(const Stream& stream, DType dtype, std::uint32_t first, std::byte* destination,
                           std::size_t count) {
  if (dtype == DType::bf16) {
    fill_as<BFloat16>(stream, first, destination, count);
  } else {
    fill_as<float>(stream, first, destination, count);
  }
}

using Kernel = void (*)(const Stream&, DType, std::uint32_t, std::byte*, std::size_t);

void run_scalar(const Stream& s, DType t, std::uint32_t f, std::byte* d, std::size_t n) {
  run(s, t, f, d, n);
}
#if QVL_X86
QVL_TARGET_AVX2 void run_avx2(const Stream& s, DType t, std::uint32_t f, std::byte* d, std::size_t n) {
  run(s, t, f, d, n);
}
QVL_TARGET_AVX512 void run_avx512(const Stream& s, DType t, std::uint32_t f, std::byte* d, std::size_t n) {
  run(s, t, f, d, n);
}
constexpr std::array<Kernel, 3> kKernels{run_scalar, run_avx2, run_avx512};
#else
constexpr std::array<Kernel, 3> kKernels{run_scalar, run_scalar, run_scalar};
#endif

void fill_stream(const Stream& stream, DType dtype, std::uint32_t first, std::span<std::byte> destination,
                 Isa isa) {
  const Kernel kernel = kKernels[static_cast<std::size_t>(isa)];
  const std::size_t count = destination.size() / size_bytes(dtype);
  if (dtype != DType::f16) {
    kernel(stream, dtype, first, destination.data(), count);
    return;
  }
  std::array<float, kBlock> wide;
  const std::span<std::byte> wide_bytes = std::as_writable_bytes(std::span(wide));
  for (std::size_t start = 0; start < count; start += kBlock) {
    const std::size_t size = std::min(kBlock, count - start);
    kernel(stream, DType::f32, static_cast<std::uint32_t>(first + start), wide_bytes.data(), size);
    convert(DType::f32, wide_bytes.first(size * sizeof(float)), DType::f16,
            destination.subspan(start * sizeof(Half), size * sizeof(Half)), isa);
  }
}

}  // namespace

Noise::Noise(std::uint64_t seed, std::string_view name, float mean, float deviation) noexcept
    : state_(split_mix(seed + kGamma) ^ fnv1a(name)),
      mean_(mean),
      step_(static_cast<float>(static_cast<double>(deviation) / std::sqrt(4294967295.0 / 3.0))) {}

Noise::Key Noise::key(std::uint32_t high) const noexcept {
  const std::uint64_t state = split_mix(state_) + high * 2 * kGamma;
  const std::uint64_t a = split_mix(state + kGamma);
  const std::uint64_t b = split_mix(state + 2 * kGamma);
  return {static_cast<std::uint32_t>(a), static_cast<std::uint32_t>(a >> 32U), static_cast<std::uint32_t>(b),
          static_cast<std::uint32_t>(b >> 32U)};
}

void Noise::fill(DType dtype, std::uint64_t first, std::span<std::byte> destination, Isa isa) const {
  if (dtype != DType::bf16 && dtype != DType::f16 && dtype != DType::f32) {
    throw UsageError(fmt::format("random weights are BF16, F16 or F32, not {}", name(dtype)));
  }
  while (destination.size() >= size_bytes(dtype)) {
    const auto low = static_cast<std::uint32_t>(first % kStreamElements);
    const std::uint64_t count =
        std::min<std::uint64_t>(destination.size() / size_bytes(dtype), kStreamElements - low);
    const Stream stream{key(static_cast<std::uint32_t>(first / kStreamElements)), mean_, step_};
    fill_stream(stream, dtype, low, destination.first(count * size_bytes(dtype)), isa);
    destination = destination.subspan(count * size_bytes(dtype));
    first += count;
  }
}

}  // namespace qvl
