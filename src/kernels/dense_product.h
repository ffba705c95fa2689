// Products of dense matrices in f32.
#pragma once

#include <cstdint>

#include "core/isa.h"

namespace qvl {

// c[i][j] += sign x sum over p of a[p][i] * b[p][j], 0 <= i < rows, 0 <= j < columns, 0 <= p < depth. Rows
// of the matrices are contiguous, `*_stride` floats apart; c overlaps neither a nor b.
struct DenseProduct {
  const float* a = nullptr;
  std::int64_t a_stride = 0;
  const float* b = nullptr;
  std::int64_t b_stride = 0;
  float* c = nullptr;
  std::int64_t c_stride = 0;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t depth = 0;
  float sign = 1.0F;
  bool lower = false;  // only j <= i is wanted; of what lies above some is added to all the same
};

// Sums of up to 256 products are made in registers (fused where the instruction set has it) before they are
// added to c: the result depends on the isa, but not on the number of threads.
void add_product(const DenseProduct& product, Isa isa, unsigned workers);

}  // namespace qvl
