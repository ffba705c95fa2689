// Quantized weights as ONNX Runtime's operator MatMulNBits takes them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "quant/quantized_weights.h"

namespace qvl {

// Weights that share a scale in the file: what MatMulNBits has kernels for, 16 to 256. A format with longer
// blocks, or one scale for an output channel, repeats its scales: the values stay the same.
[[nodiscard]] std::int64_t stored_block(const Format& format, std::int64_t depth) noexcept;

// One matrix of output channels: B and scales of MatMulNBits (attributes K = depth, N = rows, bits,
// block_size = block).
struct PackedBlocks {
  int bits = 4;
  std::int64_t rows = 0;
  std::int64_t depth = 0;
  std::int64_t block = 32;
  // u8 [rows, ceil(depth / block), block x bits / 8]: unsigned levels, zero point 8 or 128; of two 4-bit
  // numbers in a byte the first is the lower half. What fills up the last block is the zero point.
  std::vector<std::uint8_t> data;
  std::vector<float> scales;  // [rows, ceil(depth / block)]

  // Values again, [rows, depth]: those of the QuantizedWeights, to the bit.
  void unpack(std::span<float> out) const;
};

// Of weight-only formats (int8, int8:B, int4:B). Throws UsageError for others, and for a matrix that is not
// there.
[[nodiscard]] PackedBlocks pack_blocks(const QuantizedWeights& weights, std::int64_t matrix = 0);

}  // namespace qvl
