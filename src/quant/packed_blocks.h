// Quantized weights as ONNX Runtime's operator MatMulNBits takes them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "quant/quantized_weights.h"

namespace qvl {

// Weights that share a scale in the file: what MatMulNBits has kernels for, 16 to 256. A format with longer
// blocks, or one scale for an output channel, repeats its scales: the values stay the same. Of the sizes that
// such a format may have, it is the one that takes the fewest bytes (scales counted with 2), and of those the
// longest. Of weight-only formats; throws UsageError for others.
[[nodiscard]] std::int64_t stored_block(const Format& format, std::int64_t depth);

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

  [[nodiscard]] std::int64_t blocks() const noexcept { return (depth + block - 1) / block; }
  [[nodiscard]] std::int64_t row_bytes() const noexcept { return blocks() * block * bits / 8; }

  // Values again, [rows, depth]: those of the QuantizedWeights, to the bit. Throws UsageError for another size.
  void unpack(std::span<float> out) const;
};

// Of weight-only formats (int8, int8:B, int4:B), on so many threads (0: one per processor). Throws UsageError
// for others, for a matrix that is not there, and for weights whose numbers do not fit their layout.
[[nodiscard]] PackedBlocks pack_blocks(const QuantizedWeights& weights, std::int64_t matrix = 0,
                                       int threads = 0);

}  // namespace qvl
