#include "bench/memory_kernels.h"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "qvl/error.h"

#if QVL_X86
#include <immintrin.h>
#endif

namespace qvl {
namespace {

constexpr std::size_t kSums = 8;  // independent ones, so that the loads and not the additions are the limit

std::uint64_t sum_baseline(const std::uint64_t* words, std::size_t count) {
  std::array<std::uint64_t, kSums> sums{};
  for (std::size_t i = 0; i < count; i += kSums) {
    for (std::size_t s = 0; s < kSums; ++s) sums[s] += words[i + s];
  }
  std::uint64_t sum = 0;
  for (const std::uint64_t s : sums) sum += s;
  return sum;
}

void copy_baseline(const std::uint64_t* from, std::uint64_t* to, std::size_t count) {
  std::memcpy(to, from, count * sizeof(std::uint64_t));
}

#if QVL_X86
QVL_TARGET_AVX2 std::uint64_t sum_avx2(const std::uint64_t* words, std::size_t count) {
  constexpr std::size_t kLanes = 4;
  __m256i sums[kSums] = {};
  for (std::size_t i = 0; i < count; i += kSums * kLanes) {
#pragma GCC unroll 8
    for (std::size_t s = 0; s < kSums; ++s) {
      const auto* at = reinterpret_cast<const __m256i*>(words + i + s * kLanes);
      sums[s] = _mm256_add_epi64(sums[s], _mm256_load_si256(at));
    }
  }
  alignas(32) std::uint64_t lanes[kSums * kLanes];
  for (std::size_t s = 0; s < kSums; ++s)
    _mm256_store_si256(reinterpret_cast<__m256i*>(lanes + s * kLanes), sums[s]);
  return sum_baseline(lanes, kSums * kLanes);
}

QVL_TARGET_AVX2 void copy_avx2(const std::uint64_t* from, std::uint64_t* to, std::size_t count) {
  constexpr std::size_t kLanes = 4;
  for (std::size_t i = 0; i < count; i += kLanes) {
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to + i),
                        _mm256_load_si256(reinterpret_cast<const __m256i*>(from + i)));
  }
  _mm_sfence();
}

QVL_TARGET_AVX512 std::uint64_t sum_avx512(const std::uint64_t* words, std::size_t count) {
  constexpr std::size_t kLanes = 8;
  __m512i sums[kSums] = {};
  for (std::size_t i = 0; i < count; i += kSums * kLanes) {
#pragma GCC unroll 8
    for (std::size_t s = 0; s < kSums; ++s)
      sums[s] = _mm512_add_epi64(sums[s], _mm512_load_si512(words + i + s * kLanes));
  }
  alignas(64) std::uint64_t lanes[kSums * kLanes];
  for (std::size_t s = 0; s < kSums; ++s) _mm512_store_si512(lanes + s * kLanes, sums[s]);
  return sum_baseline(lanes, kSums * kLanes);
}

QVL_TARGET_AVX512 void copy_avx512(const std::uint64_t* from, std::uint64_t* to, std::size_t count) {
  constexpr std::size_t kLanes = 8;
  for (std::size_t i = 0; i < count; i += kLanes) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i), _mm512_load_si512(from + i));
  }
  _mm_sfence();
}

constexpr std::array kSumKernels{sum_baseline, sum_avx2, sum_avx512};
constexpr std::array kCopyKernels{copy_baseline, copy_avx2, copy_avx512};
#else
constexpr std::array kSumKernels{sum_baseline, sum_baseline, sum_baseline};
constexpr std::array kCopyKernels{copy_baseline, copy_baseline, copy_baseline};
#endif

void check_words(std::span<const std::uint64_t> words) {
  constexpr std::uintptr_t kAlignmentBytes = 64;
  if (words.size() % kMemoryWords != 0 ||
      reinterpret_cast<std::uintptr_t>(words.data()) % kAlignmentBytes != 0) {
    throw UsageError(
        fmt::format("{} words of memory; an aligned multiple of {} is expected", words.size(), kMemoryWords));
  }
}

}  // namespace

std::uint64_t sum_words(std::span<const std::uint64_t> words, Isa isa) {
  check_words(words);
  return kSumKernels[static_cast<std::size_t>(isa)](words.data(), words.size());
}

void copy_words(std::span<const std::uint64_t> from, std::span<std::uint64_t> to, Isa isa) {
  check_words(from);
  check_words(to);
  if (from.size() != to.size()) throw UsageError("a copy of words into another number of words");
  kCopyKernels[static_cast<std::size_t>(isa)](from.data(), to.data(), from.size());
}

}  // namespace qvl
