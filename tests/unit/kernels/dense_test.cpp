#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/dense_cholesky.h"
#include "kernels/dense_product.h"
#include "support/hand_made_model.h"

namespace qvl {
namespace {

TEST(DenseProduct, IsTheSumOfProducts) {
  for (const auto& [rows, columns, depth] :
       {std::tuple{1, 1, 1}, {5, 7, 3}, {200, 260, 270}, {193, 257, 1}, {7, 600, 520}}) {
    const std::int64_t a_stride = rows + 3;
    const std::int64_t b_stride = columns + 1;
    const std::int64_t c_stride = columns + 2;
    const auto a = test::noise(static_cast<std::size_t>(a_stride * depth), 1);
    const auto b = test::noise(static_cast<std::size_t>(b_stride * depth), 2);
    const auto before = test::noise(static_cast<std::size_t>(c_stride * rows), 3);
    std::vector<double> expected(before.begin(), before.end());
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t p = 0; p < depth; ++p) {
        const double factor = a[static_cast<std::size_t>(p * a_stride + i)];
        const float* line = b.data() + p * b_stride;
        double* out = expected.data() + i * c_stride;
        for (std::int64_t j = 0; j < columns; ++j) out[j] -= factor * line[j];
      }
    }
    for (const Isa isa : supported_isas()) {
      for (const unsigned workers : {1U, 4U}) {
        auto c = before;
        add_product({a.data(), a_stride, b.data(), b_stride, c.data(), c_stride, rows, columns, depth, -1.0F},
                    isa, workers);
        double worst = 0;
        for (std::size_t i = 0; i < c.size(); ++i) worst = std::max(worst, std::abs(c[i] - expected[i]));
        EXPECT_LE(worst, 1e-6 * (depth + 3)) << name(isa) << " " << rows << " x " << columns;
        if (workers == 1) continue;
        auto alone = before;
        add_product(
            {a.data(), a_stride, b.data(), b_stride, alone.data(), c_stride, rows, columns, depth, -1.0F},
            isa, 1);
        EXPECT_EQ(c, alone);
      }
    }
  }
}

// X^T X of `rows` rows, plus `damping` on the diagonal.
std::vector<float> gram(std::int64_t n, std::int64_t rows, float damping) {
  const auto x = test::noise(static_cast<std::size_t>(n * rows), 4);
  std::vector<float> a(static_cast<std::size_t>(n * n));
  add_product({x.data(), n, x.data(), n, a.data(), n, n, n, rows}, Isa::scalar, 2);
  for (std::int64_t i = 0; i < n; ++i) a[static_cast<std::size_t>(i * (n + 1))] += damping;
  return a;
}

TEST(DenseCholesky, FactorsGiveTheMatrixAgain) {
  for (const std::int64_t n : {1, 5, 256, 257, 600}) {
    const std::vector<float> a = gram(n, 2 * n, 0.1F);
    for (const Isa isa : supported_isas()) {
      auto factor = a;
      ASSERT_TRUE(factor_cholesky(factor, n, isa, 1));
      auto threaded = a;
      ASSERT_TRUE(factor_cholesky(threaded, n, isa, 3));
      for (std::int64_t i = 0; i < n; ++i) {
        for (std::int64_t j = 0; j <= i; ++j)
          ASSERT_EQ(factor[static_cast<std::size_t>(i * n + j)],
                    threaded[static_cast<std::size_t>(i * n + j)]);
      }
      // Some columns of the product: within blocks, and at their edges.
      for (const std::int64_t column : {0L, 4L, 100L, 255L, 256L, 300L, 511L, 512L, 599L}) {
        for (std::int64_t i = column; i < n; ++i) {
          double sum = 0;
          for (std::int64_t p = 0; p <= column; ++p)
            sum += double{factor[static_cast<std::size_t>(i * n + p)]} *
                   factor[static_cast<std::size_t>(column * n + p)];
          ASSERT_NEAR(sum, a[static_cast<std::size_t>(i * n + column)], 6e-6 * static_cast<double>(n))
              << n << " " << i << " " << column;
        }
      }
    }
  }
}

TEST(DenseCholesky, SaysWhereThereIsNoFactor) {
  for (const std::int64_t n : {5, 300}) {
    for (const Isa isa : supported_isas()) {
      auto singular = gram(n, n / 2, 0.0F);
      EXPECT_FALSE(factor_cholesky(singular, n, isa, 1)) << n;
      auto negative = gram(n, 2 * n, 0.1F);
      negative[static_cast<std::size_t>((n - 1) * (n + 1))] = -1;
      EXPECT_FALSE(factor_cholesky(negative, n, isa, 1)) << n;
      auto infinite = gram(n, 2 * n, 0.1F);
      infinite[0] = std::numeric_limits<float>::infinity();
      EXPECT_FALSE(factor_cholesky(infinite, n, isa, 1)) << n;
    }
  }
}

}  // namespace
}  // namespace qvl
