#include "exporter/transpose.h"

#include <fmt/format.h>

#include <algorithm>

#include "qvl/error.h"

namespace qvl {
namespace {

// A tile of the source and one of the destination lie in the first-level cache together.
constexpr std::int64_t kTile = 32;

template <class T>
void transpose_tiles(const T* source, T* destination, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t r0 = 0; r0 < rows; r0 += kTile) {
    const std::int64_t r1 = std::min(rows, r0 + kTile);
    for (std::int64_t c0 = 0; c0 < columns; c0 += kTile) {
      const std::int64_t c1 = std::min(columns, c0 + kTile);
      for (std::int64_t c = c0; c < c1; ++c) {
        for (std::int64_t r = r0; r < r1; ++r) destination[c * rows + r] = source[r * columns + c];
      }
    }
  }
}

}  // namespace

void transpose(std::span<const std::byte> source, std::span<std::byte> destination, std::int64_t rows,
               std::int64_t columns, std::size_t element_bytes) {
  const std::size_t size = static_cast<std::size_t>(rows * columns) * element_bytes;
  if ((element_bytes != 2 && element_bytes != 4) || source.size() != size || destination.size() != size) {
    throw UsageError(
        fmt::format("transposition of [{}, {}] with elements of {} bytes in spaces of {} and {} bytes", rows,
                    columns, element_bytes, source.size(), destination.size()));
  }
  if (element_bytes == 2) {
    transpose_tiles(reinterpret_cast<const std::uint16_t*>(source.data()),
                    reinterpret_cast<std::uint16_t*>(destination.data()), rows, columns);
  } else {
    transpose_tiles(reinterpret_cast<const std::uint32_t*>(source.data()),
                    reinterpret_cast<std::uint32_t*>(destination.data()), rows, columns);
  }
}

}  // namespace qvl
