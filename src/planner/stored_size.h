// How many bytes a unit's weight takes in a quantized model's file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/dtype.h"
#include "quant/format.h"
#include "quant/weight_layout.h"

namespace qvl {

struct StoredWeight {
  std::string op;             // MatMul, Gemm, Conv
  WeightLayout layout;        // as the unit's node takes it
  DType stored = DType::f32;  // of the initializer in the model
  std::uint64_t bytes = 0;    // of the initializer in the model
};

// Integers, what fills up the last block of 4-bit ones, and scales; no zero points, which are constant, no
// biases, no names, no alignment. The contract with what `qvl quantize` writes where no accuracy level is
// asked for:
//
//   no format           the initializer as it is
//   int8, int8-dynamic, a byte a weight and an f32 scale for each output channel
//   int8-static
//   int8:B              a byte a weight and ceil(depth / B) scales for each output channel, of 2 bytes where
//   the
//                       model's weight is f16 and a matrix of a MatMul or Gemm, else 4
//   int4:B              output channels x ceil(depth / b) blocks of b / 2 bytes and such a scale each, b
//   being
//                       stored_block() (quant/packed_blocks.h)
[[nodiscard]] std::uint64_t stored_bytes(const StoredWeight& weight, const std::optional<Format>& format);

}  // namespace qvl
