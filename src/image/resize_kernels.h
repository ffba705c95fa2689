// The two passes of a bicubic resize for one instruction set. Internal to this layer.
#pragma once

#include <cstdint>

#include "core/isa.h"
#include "image/bicubic_weights.h"

namespace qvl {

// Along each of `rows` rows: `in` has in_width RGB pixels a row, `out`, which does not overlap it, out_width.
struct RowPass {
  const std::uint8_t* in;
  std::int64_t in_width;
  std::uint8_t* out;
  std::int64_t out_width;
  std::int64_t rows;
  const BicubicWeights* weights;
};

// Along the columns: rows of row_bytes bytes, out_rows of them are written. `out` does not overlap `in`.
struct ColumnPass {
  const std::uint8_t* in;
  std::uint8_t* out;
  std::int64_t row_bytes;
  std::int64_t out_rows;
  const BicubicWeights* weights;
};

// Every instruction set gives the same bytes.
struct ResizeKernels {
  void (*rows)(const RowPass&);
  void (*columns)(const ColumnPass&);
  std::int64_t overread_bytes;  // that `rows` may read behind the end of the last row
};

[[nodiscard]] const ResizeKernels& resize_kernels(Isa isa);

}  // namespace qvl
