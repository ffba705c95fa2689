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

// Whether the operator MatMulNBits can stand in for the unit: a weight-only format on one matrix of a MatMul
// or Gemm.
[[nodiscard]] bool is_block_product(const StoredWeight& weight, const Format& format);

// Integers, what fills up the last block, and scales; no zero points, which are constant, no biases, no
// names, no alignment. The contract with what `qvl quantize` writes:
//
//   no format            the initializer as it is
//   weight-only formats  output channels x ceil(depth / B) blocks of B x bits / 8 bytes and a scale each, B
//   being
//                        stored_block() (quant/packed_blocks.h), the scale 2 bytes where is_block_product()
//                        and the model's weight is f16, else 4
//   int8-dynamic,        a byte a weight and an f32 scale for each output channel; stacked matrices as
//   weight-only int8 int8-static
[[nodiscard]] std::uint64_t stored_bytes(const StoredWeight& weight, const std::optional<Format>& format);

}  // namespace qvl
