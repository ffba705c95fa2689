// The two passes of a bicubic resize for one instruction set. Internal to this layer.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/isa.h"
#include "image/bicubic_weights.h"

namespace qvl {

// The vector kernels of the pass along rows read up to this many bytes behind the end of the last row that
// they are given.
inline constexpr std::int64_t kRowOverreadBytes = 16;

// Along each of `rows` rows: `in` has in_width RGB pixels a row, `out` out_width. `out` does not overlap
// `in`.
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

void resize_rows_scalar(const RowPass& pass);
void resize_columns_scalar(const ColumnPass& pass);
#if QVL_X86
void resize_rows_avx2(const RowPass& pass);
void resize_columns_avx2(const ColumnPass& pass);
void resize_rows_avx512(const RowPass& pass);
void resize_columns_avx512(const ColumnPass& pass);
#endif

}  // namespace qvl
