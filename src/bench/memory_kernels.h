// Reading and copying memory as fast as a processor does.
#pragma once

#include <cstdint>
#include <span>

#include "core/isa.h"

namespace qvl {

// Both take a multiple of kMemoryWords words at addresses that are multiples of 64, else they throw
// UsageError.
inline constexpr std::size_t kMemoryWords = 64;

// The sum modulo 2^64; every isa gives the same.
[[nodiscard]] std::uint64_t sum_words(std::span<const std::uint64_t> words, Isa isa = best_isa());

// `to` has the size of `from` and does not overlap it. The vector kernels write past the caches, so that the
// lines written are not read first.
void copy_words(std::span<const std::uint64_t> from, std::span<std::uint64_t> to, Isa isa = best_isa());

}  // namespace qvl
