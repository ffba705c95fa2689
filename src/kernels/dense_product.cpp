#include "kernels/dense_product.h"

#include <algorithm>
#include <array>
#include <vector>

#include "core/parallel.h"
#include "kernels/dense_kernels.h"

namespace qvl {
namespace {

constexpr std::int64_t kPanelDepth = 256;

// Strips of `width` columns of in[p][begin .. begin + count), each [depth][width], the last filled with 0.
void pack_strips(const float* in, std::int64_t stride, std::int64_t count, std::int64_t depth,
                 std::int64_t width, float* out) {
  for (std::int64_t start = 0; start < count; start += width) {
    const std::int64_t here = std::min(width, count - start);
    for (std::int64_t p = 0; p < depth; ++p) {
      const float* line = in + p * stride + start;
      std::copy_n(line, here, out);
      std::fill_n(out + here, width - here, 0.0F);
      out += width;
    }
  }
}

// What a thread packs factors into.
struct Packed {
  std::vector<float> a = std::vector<float>(kProductTileRows * kPanelDepth);
  std::vector<float> b = std::vector<float>(kProductTileColumns * kPanelDepth);
};

// A tile of c, from row i and column j on.
void add_tile(const DenseProduct& product, const DenseKernels& kernels, std::int64_t i, std::int64_t j,
              Packed& packed) {
  alignas(64) std::array<float, 16 * 32> sums;
  const std::int64_t rows = std::min(kProductTileRows, product.rows - i);
  const std::int64_t columns = std::min(kProductTileColumns, product.columns - j);
  for (std::int64_t p = 0; p < product.depth; p += kPanelDepth) {
    const std::int64_t depth = std::min(kPanelDepth, product.depth - p);
    pack_strips(product.a + p * product.a_stride + i, product.a_stride, rows, depth, kernels.rows,
                packed.a.data());
    pack_strips(product.b + p * product.b_stride + j, product.b_stride, columns, depth, kernels.columns,
                packed.b.data());
    for (std::int64_t jj = 0; jj < columns; jj += kernels.columns) {
      const std::int64_t width = std::min(kernels.columns, columns - jj);
      for (std::int64_t ii = 0; ii < rows; ii += kernels.rows) {
        const std::int64_t height = std::min(kernels.rows, rows - ii);
        if (product.lower && j + jj > i + ii + height - 1) continue;
        kernels.multiply(packed.a.data() + ii * depth, packed.b.data() + jj * depth, depth, sums.data());
        for (std::int64_t r = 0; r < height; ++r) {
          float* out = product.c + (i + ii + r) * product.c_stride + j + jj;
          const float* sum = sums.data() + r * kernels.columns;
          for (std::int64_t c = 0; c < width; ++c) out[c] += product.sign * sum[c];
        }
      }
    }
  }
}

}  // namespace

void add_product(const DenseProduct& product, Isa isa, unsigned workers) {
  const DenseKernels& kernels = dense_kernels(isa);
  std::vector<std::array<std::int64_t, 2>> tiles;
  for (std::int64_t i = 0; i < product.rows; i += kProductTileRows) {
    const std::int64_t last = std::min(i + kProductTileRows, product.rows) - 1;
    for (std::int64_t j = 0; j < product.columns && !(product.lower && j > last); j += kProductTileColumns)
      tiles.push_back({i, j});
  }
  std::vector<Packed> packed(std::min<std::size_t>(workers, tiles.size()));
  parallel_for(tiles.size(), workers, nullptr, [&](std::size_t piece, unsigned worker) {
    add_tile(product, kernels, tiles[piece][0], tiles[piece][1], packed[worker]);
  });
}

}  // namespace qvl
