// The instruction sets that vector code is compiled for, chosen at run time.
#pragma once

#include <span>
#include <string_view>

namespace qvl {

// scalar is plain C++ at the build's baseline and runs everywhere; the others are x86-64 only.
enum class Isa { scalar, avx2, avx512 };

// What this machine runs, from the slowest (always scalar) to the fastest.
[[nodiscard]] std::span<const Isa> supported_isas();
[[nodiscard]] inline Isa best_isa() { return supported_isas().back(); }
[[nodiscard]] std::string_view name(Isa isa) noexcept;

}  // namespace qvl

// A kernel is written once as an always-inline function and compiled again in wrappers with these attributes.
#define QVL_ALWAYS_INLINE inline __attribute__((always_inline))
#if defined(__x86_64__)
#define QVL_X86 1
#define QVL_TARGET_AVX2 __attribute__((target("avx2,fma,f16c,bmi2")))
#define QVL_TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c,bmi2")))
#else
#define QVL_X86 0
#endif
