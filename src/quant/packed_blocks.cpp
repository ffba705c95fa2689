#include "quant/packed_blocks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "core/parallel.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::int64_t kLeastStored = 16;
constexpr std::int64_t kMostStored = 256;
constexpr std::int64_t kPieceWeights = 256 * 1024;  // a piece of work for a thread
constexpr std::int64_t kTileRows = 64;              // a cache line of each line of a weight that is turned
constexpr std::int64_t kTileDepth = 256;
constexpr std::int64_t kSquare = 8;  // bytes in a 64-bit number

static_assert(std::endian::native == std::endian::little, "bytes are turned within little-endian numbers");

void check_weight_only(const Format& format) {
  check(format);
  if (format.activations != ActivationRounding::kept) {
    throw UsageError(fmt::format(
        "the format {} is not stored in blocks; int8, int8:B and int4:B are, whose activations are kept",
        to_string(format)));
  }
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// From levels to bytes, of `count` weights side by side (even for 4 bits).
void pack_line(const std::int8_t* levels, std::int64_t count, int bits, std::uint8_t* out) {
  if (bits == 8) {
    for (std::int64_t i = 0; i < count; ++i) out[i] = static_cast<std::uint8_t>(levels[i] + 128);
    return;
  }
  for (std::int64_t i = 0; i < count / 2; ++i) {
    std::uint16_t two = 0;
    std::memcpy(&two, levels + 2 * i, sizeof(two));
    // Adding 8 to a number of 4 bits flips its highest one.
    out[i] = static_cast<std::uint8_t>(((two & 0x0FU) | ((two >> 4U) & 0xF0U)) ^ 0x88U);
  }
}

// Rows of 8 bytes become columns: halves, quarters and eighths off the diagonal change places.
void turn_square(std::array<std::uint64_t, kSquare>& m) {
  constexpr std::array<std::uint64_t, 3> kLower{0x00000000FFFFFFFFU, 0x0000FFFF0000FFFFU,
                                                0x00FF00FF00FF00FFU};
  for (std::size_t stage = 0; stage < 3; ++stage) {
    const std::size_t step = std::size_t{4} >> stage;
    const std::size_t shift = step * 8;
    for (std::size_t i = 0; i < kSquare; ++i) {
      if ((i & step) != 0) continue;
      const std::uint64_t swapped = ((m[i] >> shift) ^ m[i + step]) & kLower[stage];
      m[i] ^= swapped << shift;
      m[i + step] ^= swapped;
    }
  }
}

// out[row][k] of lines in[k][row]; `out` has kTileDepth bytes in a row.
void turn_tile(const std::int8_t* in, std::int64_t stride, std::int64_t rows, std::int64_t depth,
               std::int8_t* out) {
  const std::int64_t whole_rows = rows / kSquare * kSquare;
  const std::int64_t whole_depth = depth / kSquare * kSquare;
  for (std::int64_t k = 0; k < whole_depth; k += kSquare) {
    for (std::int64_t row = 0; row < whole_rows; row += kSquare) {
      std::array<std::uint64_t, kSquare> square;
      for (std::int64_t i = 0; i < kSquare; ++i)
        std::memcpy(&square[static_cast<std::size_t>(i)], in + (k + i) * stride + row, kSquare);
      turn_square(square);
      for (std::int64_t i = 0; i < kSquare; ++i)
        std::memcpy(out + (row + i) * kTileDepth + k, &square[static_cast<std::size_t>(i)], kSquare);
    }
  }
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t k = row < whole_rows ? whole_depth : 0; k < depth; ++k)
      out[row * kTileDepth + k] = in[k * stride + row];
  }
}

class Packer {
 public:
  Packer(const QuantizedWeights& weights, std::int64_t matrix, PackedBlocks& packed)
      : weights_(weights), matrix_(matrix), packed_(packed) {}

  void pack_rows(std::int64_t begin, std::int64_t end) const {
    const std::int64_t depth = packed_.depth;
    if (weights_.layout.axis == DepthAxis::contiguous) {
      for (std::int64_t row = begin; row < end; ++row)
        put(weights_.levels.data() + weights_.layout.index(matrix_, row, 0), row, 0, depth);
    } else {
      std::array<std::int8_t, kTileRows * kTileDepth> turned;
      for (std::int64_t row = begin; row < end; row += kTileRows) {
        const std::int64_t rows = std::min(kTileRows, end - row);
        for (std::int64_t k = 0; k < depth; k += kTileDepth) {
          const std::int64_t count = std::min(kTileDepth, depth - k);
          turn_tile(weights_.levels.data() + weights_.layout.index(matrix_, row, k), weights_.layout.rows,
                    rows, count, turned.data());
          for (std::int64_t i = 0; i < rows; ++i) put(turned.data() + i * kTileDepth, row + i, k, count);
        }
      }
    }
    for (std::int64_t row = begin; row < end; ++row) put_scales(row);
  }

 private:
  // Weights k to k + count of a row; k is even.
  void put(const std::int8_t* levels, std::int64_t row, std::int64_t k, std::int64_t count) const {
    const int bits = packed_.bits;
    std::uint8_t* out = packed_.data.data() + row * packed_.row_bytes() + k * bits / 8;
    const std::int64_t whole = bits == 4 ? count / 2 * 2 : count;
    pack_line(levels, whole, bits, out);
    if (whole == count) return;
    const std::array<std::int8_t, 2> last{levels[whole], 0};
    pack_line(last.data(), 2, bits, out + whole / 2);
  }

  void put_scales(std::int64_t row) const {
    const Format& format = weights_.format;
    const std::int64_t of_row = format.blocks(packed_.depth);
    const std::int64_t repeats = format.block == 0 ? packed_.blocks() : format.block / packed_.block;
    const float* in = weights_.scales.data() + (matrix_ * packed_.rows + row) * of_row;
    float* out = packed_.scales.data() + row * packed_.blocks();
    for (std::int64_t i = 0; i < packed_.blocks(); ++i) out[i] = in[i / repeats];
  }

  const QuantizedWeights& weights_;
  std::int64_t matrix_;
  PackedBlocks& packed_;
};

}  // namespace

std::int64_t stored_block(const Format& format, std::int64_t depth) {
  check_weight_only(format);
  if (format.block != 0 && format.block <= kMostStored) return format.block;
  std::int64_t best = kMostStored;
  const auto bits = [&](std::int64_t block) { return ceil_div(depth, block) * (block * format.bits + 16); };
  for (std::int64_t block = kMostStored; block >= kLeastStored; block /= 2) {
    if (bits(block) < bits(best)) best = block;
  }
  return best;
}

PackedBlocks pack_blocks(const QuantizedWeights& weights, std::int64_t matrix, int threads) {
  const WeightLayout& layout = weights.layout;
  const Format& format = weights.format;
  check_weight_only(format);
  if (matrix < 0 || matrix >= layout.matrices) {
    throw UsageError(
        fmt::format("matrix {} of weights that have {}, counted from 0", matrix, layout.matrices));
  }
  const std::size_t elements = layout.elements();
  const auto scales =
      elements == 0 ? std::size_t{0}
                    : static_cast<std::size_t>(layout.matrices * layout.rows * format.blocks(layout.depth));
  if (weights.levels.size() != elements || weights.scales.size() != scales) {
    throw UsageError(fmt::format("{} levels and {} scales to pack; the layout has {} and {}",
                                 weights.levels.size(), weights.scales.size(), elements, scales));
  }
  PackedBlocks packed{format.bits, layout.rows, layout.depth, stored_block(format, layout.depth), {}, {}};
  if (elements == 0) return packed;
  const auto fill = static_cast<std::uint8_t>(format.bits == 8 ? 0x80U : 0x88U);
  packed.data.assign(static_cast<std::size_t>(packed.rows * packed.row_bytes()), fill);
  packed.scales.resize(static_cast<std::size_t>(packed.rows * packed.blocks()));
  const Packer packer(weights, matrix, packed);
  const std::int64_t step =
      ceil_div(std::max<std::int64_t>(1, kPieceWeights / layout.depth), kTileRows) * kTileRows;
  parallel_for(static_cast<std::size_t>(ceil_div(layout.rows, step)), worker_count(threads), nullptr,
               [&](std::size_t piece, unsigned) {
                 const std::int64_t row = static_cast<std::int64_t>(piece) * step;
                 packer.pack_rows(row, std::min(row + step, layout.rows));
               });
  return packed;
}

void PackedBlocks::unpack(std::span<float> out) const {
  if (out.size() != static_cast<std::size_t>(rows * depth)) {
    throw UsageError(fmt::format("{} x {} packed weights into a space for {}", rows, depth, out.size()));
  }
  const int zero_point = 1 << (bits - 1);
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::uint8_t* bytes = data.data() + row * row_bytes();
    const float* scale = scales.data() + row * blocks();
    float* to = out.data() + row * depth;
    for (std::int64_t k = 0; k < depth; ++k) {
      const int code = bits == 8 ? bytes[k] : (bytes[k / 2] >> (k % 2 * 4)) & 15;
      to[k] = static_cast<float>(code - zero_point) * scale[k / block];
    }
  }
}

}  // namespace qvl
