#include "kernels/dense_cholesky.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/parallel.h"
#include "kernels/dense_product.h"

namespace qvl {
namespace {

constexpr std::int64_t kBlock = 256;
constexpr std::int64_t kTurned = 64;  // rows that are turned at a time
constexpr double kLeastPivot = 0x1p-23;

// A block on the diagonal, in f64: U upper with U^T U = block, and its inverse V.
class DiagonalBlock {
 public:
  explicit DiagonalBlock(std::int64_t size)
      : size_(size),
        upper_(static_cast<std::size_t>(size * size)),
        inverse_(static_cast<std::size_t>(size * size)) {}

  // `first`: the diagonal of the whole matrix before anything was subtracted from it.
  [[nodiscard]] bool factor(const float* a, std::int64_t stride, const float* first) {
    for (std::int64_t i = 0; i < size_; ++i) {
      for (std::int64_t j = i; j < size_; ++j) row(upper_, i)[j] = a[j * stride + i];
    }
    for (std::int64_t k = 0; k < size_; ++k) {
      double* pivot_row = row(upper_, k);
      if (!(pivot_row[k] > kLeastPivot * first[k]) || !std::isfinite(pivot_row[k])) return false;
      const double root = std::sqrt(pivot_row[k]);
      for (std::int64_t j = k; j < size_; ++j) pivot_row[j] /= root;
      for (std::int64_t i = k + 1; i < size_; ++i) subtract(row(upper_, i), pivot_row, pivot_row[i], i);
    }
    return true;
  }

  void invert() {
    for (std::int64_t p = size_ - 1; p >= 0; --p) {
      double* out = row(inverse_, p);
      std::fill_n(out, size_, 0.0);
      out[p] = 1;
      const double* factors = row(upper_, p);
      for (std::int64_t r = p + 1; r < size_; ++r) subtract(out, row(inverse_, r), factors[r], r);
      for (std::int64_t q = p; q < size_; ++q) out[q] /= factors[p];
    }
  }

  // L = U^T
  void put_lower(float* a, std::int64_t stride) const {
    for (std::int64_t i = 0; i < size_; ++i) {
      for (std::int64_t j = 0; j <= i; ++j)
        a[i * stride + j] = static_cast<float>(upper_[static_cast<std::size_t>(j * size_ + i)]);
    }
  }

  [[nodiscard]] std::vector<float> inverse() const { return {inverse_.begin(), inverse_.end()}; }

 private:
  double* row(std::vector<double>& matrix, std::int64_t i) const { return matrix.data() + i * size_; }

  void subtract(double* out, const double* in, double factor, std::int64_t begin) const {
    for (std::int64_t j = begin; j < size_; ++j) out[j] -= factor * in[j];
  }

  std::int64_t size_;
  std::vector<double> upper_;
  std::vector<double> inverse_;
};

}  // namespace

bool factor_cholesky(std::span<float> a, std::int64_t n, Isa isa, unsigned workers) {
  std::vector<float> diagonal(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) diagonal[static_cast<std::size_t>(i)] = a[i * n + i];
  const auto room = static_cast<std::size_t>(std::min(kBlock, n) * std::max<std::int64_t>(n - kBlock, 0));
  std::vector<float> turned(room);
  std::vector<float> solved(room);
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    const std::int64_t size = std::min(kBlock, n - begin);
    const std::int64_t rest = n - begin - size;
    float* corner = a.data() + begin * n + begin;
    DiagonalBlock block(size);
    if (!block.factor(corner, n, diagonal.data() + begin)) return false;
    block.put_lower(corner, n);
    if (rest == 0) break;
    block.invert();
    const std::vector<float> inverse = block.inverse();
    float* below = corner + size * n;
    const auto strips = static_cast<std::size_t>((rest + kTurned - 1) / kTurned);
    parallel_for(strips, workers, nullptr, [&](std::size_t strip, unsigned) {
      const std::int64_t first = static_cast<std::int64_t>(strip) * kTurned;
      const std::int64_t last = std::min(first + kTurned, rest);
      for (std::int64_t p = 0; p < size; ++p) {
        for (std::int64_t i = first; i < last; ++i) turned[p * rest + i] = below[i * n + p];
        std::fill_n(solved.begin() + p * rest + first, last - first, 0.0F);
      }
    });
    add_product({inverse.data(), size, turned.data(), rest, solved.data(), rest, size, rest, size}, isa,
                workers);
    parallel_for(strips, workers, nullptr, [&](std::size_t strip, unsigned) {
      const std::int64_t first = static_cast<std::int64_t>(strip) * kTurned;
      for (std::int64_t i = first; i < std::min(first + kTurned, rest); ++i) {
        for (std::int64_t p = 0; p < size; ++p) below[i * n + p] = solved[p * rest + i];
      }
    });
    add_product({solved.data(), rest, solved.data(), rest, below + size, n, rest, rest, size, -1.0F, true},
                isa, workers);
  }
  return true;
}

}  // namespace qvl
