// The innermost loop of products of dense matrices, for one instruction set. Internal to this layer.
#pragma once

#include <cstdint>

#include "core/isa.h"

namespace qvl {

// Sizes of tiles are multiples of every kernel's.
inline constexpr std::int64_t kProductTileRows = 192;
inline constexpr std::int64_t kProductTileColumns = 256;

struct DenseKernels {
  std::int64_t rows;     // of a strip of the first factor; divides kProductTileRows
  std::int64_t columns;  // of a strip of the second factor; divides kProductTileColumns
  // out[i][j] = sum over p of a[p][i] * b[p][j]; everything contiguous, in strips of rows and columns.
  void (*multiply)(const float* a, const float* b, std::int64_t depth, float* out);
};

[[nodiscard]] const DenseKernels& dense_kernels(Isa isa);

}  // namespace qvl
