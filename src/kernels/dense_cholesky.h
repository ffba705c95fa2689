// Factors of symmetric positive definite matrices.
#pragma once

#include <cstdint>
#include <span>

#include "core/isa.h"

namespace qvl {

// a [n, n], whose lower triangle is read, becomes L with a = L L^T, lower; what is above the diagonal holds
// anything then. By blocks of 256: their own factors and inverses in f64, all else in f32. False where a
// pivot is not above 2^-23 of its diagonal element, that is where `a` is not positive definite or f32 cannot
// tell; `a` holds anything then. Needs room for 512 n floats more. The same for every number of threads.
[[nodiscard]] bool factor_cholesky(std::span<float> a, std::int64_t n, Isa isa, unsigned workers);

}  // namespace qvl
