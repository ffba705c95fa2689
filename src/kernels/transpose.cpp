#include "kernels/transpose.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "qvl/error.h"

namespace qvl {
namespace {

// A tile is turned in a buffer of its own, which stays in the first-level cache: rows of weights are often a
// multiple of 4096 bytes apart, where their lines would push each other out.
constexpr std::int64_t kTile = 64;

// The compilers' portable vectors: 16 bytes, as the baseline of both architectures has them.
using Words = std::uint16_t __attribute__((vector_size(16)));
using DoubleWords = std::uint32_t __attribute__((vector_size(16)));

Words interleave_low(Words a, Words b) { return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
Words interleave_high(Words a, Words b) { return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }
DoubleWords interleave_low(DoubleWords a, DoubleWords b) { return __builtin_shufflevector(a, b, 0, 4, 1, 5); }
DoubleWords interleave_high(DoubleWords a, DoubleWords b) {
  return __builtin_shufflevector(a, b, 2, 6, 3, 7);
}

// A square of as many rows as a vector has elements; log2 of them rounds of the perfect shuffle.
template <class T, class Vector>
void transpose_square(const T* source, std::int64_t stride, T* destination, std::int64_t destination_stride) {
  constexpr std::size_t kSide = sizeof(Vector) / sizeof(T);
  std::array<Vector, kSide> rows;
  for (std::size_t i = 0; i < kSide; ++i)
    std::memcpy(&rows[i], source + static_cast<std::int64_t>(i) * stride, sizeof(Vector));
  for (std::size_t round = 1; round < kSide; round *= 2) {
    std::array<Vector, kSide> mixed;
    for (std::size_t i = 0; i < kSide / 2; ++i) {
      mixed[2 * i] = interleave_low(rows[i], rows[i + kSide / 2]);
      mixed[2 * i + 1] = interleave_high(rows[i], rows[i + kSide / 2]);
    }
    rows = mixed;
  }
  for (std::size_t i = 0; i < kSide; ++i)
    std::memcpy(destination + static_cast<std::int64_t>(i) * destination_stride, &rows[i], sizeof(Vector));
}

template <class T, class Vector>
void transpose_tile(const T* source, std::int64_t stride, T* tile, std::int64_t rows, std::int64_t columns) {
  constexpr auto kSide = static_cast<std::int64_t>(sizeof(Vector) / sizeof(T));
  const std::int64_t whole_rows = rows / kSide * kSide;
  const std::int64_t whole_columns = columns / kSide * kSide;
  for (std::int64_t r = 0; r < whole_rows; r += kSide) {
    for (std::int64_t c = 0; c < whole_columns; c += kSide)
      transpose_square<T, Vector>(source + r * stride + c, stride, tile + c * kTile + r, kTile);
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = r < whole_rows ? whole_columns : 0; c < columns; ++c)
      tile[c * kTile + r] = source[r * stride + c];
  }
}

template <class T, class Vector>
void transpose_tiles(const std::byte* source_bytes, std::int64_t stride, std::byte* destination_bytes,
                     std::int64_t rows, std::int64_t columns) {
  const T* source = reinterpret_cast<const T*>(source_bytes);
  T* destination = reinterpret_cast<T*>(destination_bytes);
  alignas(64) std::array<T, static_cast<std::size_t>(kTile * kTile)> tile;
  for (std::int64_t r = 0; r < rows; r += kTile) {
    const std::int64_t tile_rows = std::min(kTile, rows - r);
    for (std::int64_t c = 0; c < columns; c += kTile) {
      const std::int64_t tile_columns = std::min(kTile, columns - c);
      transpose_tile<T, Vector>(source + r * stride + c, stride, tile.data(), tile_rows, tile_columns);
      for (std::int64_t i = 0; i < tile_columns; ++i) {
        std::memcpy(destination + (c + i) * rows + r, tile.data() + i * kTile,
                    static_cast<std::size_t>(tile_rows) * sizeof(T));
      }
    }
  }
}

}  // namespace

void transpose(std::span<const std::byte> source, std::int64_t stride, std::span<std::byte> destination,
               std::int64_t rows, std::int64_t columns, std::size_t element_bytes) {
  const bool known = element_bytes == 2 || element_bytes == 4;
  const bool sides = rows > 0 && columns > 0 && stride >= columns;
  if (!known || !sides ||
      source.size() < static_cast<std::size_t>((rows - 1) * stride + columns) * element_bytes ||
      destination.size() != static_cast<std::size_t>(rows * columns) * element_bytes) {
    throw UsageError(
        fmt::format("transposition of [{}, {}], rows {} apart, with elements of {} bytes in spaces of {} and "
                    "{} bytes",
                    rows, columns, stride, element_bytes, source.size(), destination.size()));
  }
  if (element_bytes == 2) {
    transpose_tiles<std::uint16_t, Words>(source.data(), stride, destination.data(), rows, columns);
  } else {
    transpose_tiles<std::uint32_t, DoubleWords>(source.data(), stride, destination.data(), rows, columns);
  }
}

}  // namespace qvl
