#include <gtest/gtest.h>

#include <cmath>

#include "quant/dense_cholesky.h"
#include "quant/dense_product.h"
#include "support/hand_made_model.h"

namespace qvl {
namespace {

TEST(DenseProduct, IsTheSumOfProducts) {
  for (const auto& [rows, columns, depth] :
       {std::tuple{1, 1, 1}, {5, 7, 3}, {200, 300, 270}, {193, 257, 1}, {40, 1000, 600}}) {
    const std::int64_t a_stride = rows + 3;
    const std::int64_t b_stride = columns + 1;
    const std::int64_t c_stride = columns + 2;
    const auto a = test::noise(static_cast<std::size_t>(a_stride * depth), 1);
    const auto b = test::noise(static_cast<std::size_t>(b_stride * depth), 2);
    const auto before = test::noise(static_cast<std::size_t>(c_stride * rows), 3);
    for (const Isa isa : supported_isas()) {
      auto c = before;
      add_product({a.data(), a_stride, b.data(), b_stride, c.data(), c_stride, rows, columns, depth, -1.0F},
                  isa, 1);
      for (std::int64_t i = 0; i < rows; ++i) {
        for (std::int64_t j = 0; j < c_stride; ++j) {
          const auto at = static_cast<std::size_t>(i * c_stride + j);
          double expected = before[at];
          double magnitude = std::abs(expected);
          for (std::int64_t p = 0; p < depth && j < columns; ++p) {
            const double product = double{a[static_cast<std::size_t>(p * a_stride + i)]} *
                                   b[static_cast<std::size_t>(p * b_stride + j)];
            expected -= product;
            magnitude += std::abs(product);
          }
          ASSERT_NEAR(c[at], expected, 2e-6 * magnitude) << name(isa) << " " << rows << " " << i << " " << j;
        }
      }
      auto threaded = before;
      add_product(
          {a.data(), a_stride, b.data(), b_stride, threaded.data(), c_stride, rows, columns, depth, -1.0F},
          isa, 4);
      EXPECT_EQ(threaded, c);
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
  for (const std::int64_t n : {1, 5, 256, 257, 700}) {
    const std::vector<float> a = gram(n, 2 * n, 0.1F);
    for (const Isa isa : supported_isas()) {
      auto factor = a;
      ASSERT_TRUE(factor_cholesky(factor, n, isa, 1));
      auto threaded = a;
      ASSERT_TRUE(factor_cholesky(threaded, n, isa, 3));
      std::vector<double> transposed(static_cast<std::size_t>(n * n));
      for (std::int64_t i = 0; i < n; ++i) {
        for (std::int64_t j = 0; j <= i; ++j) {
          const auto at = static_cast<std::size_t>(i * n + j);
          transposed[static_cast<std::size_t>(j * n + i)] = factor[at];
          ASSERT_EQ(factor[at], threaded[at]);
        }
      }
      std::vector<double> line(static_cast<std::size_t>(n));
      for (std::int64_t i = 0; i < n; ++i) {
        std::ranges::fill(line, 0.0);
        for (std::int64_t p = 0; p <= i; ++p) {
          const double left = transposed[static_cast<std::size_t>(p * n + i)];
          for (std::int64_t j = p; j < n; ++j)
            line[static_cast<std::size_t>(j)] += left * transposed[static_cast<std::size_t>(p * n + j)];
        }
        for (std::int64_t j = 0; j <= i; ++j) {
          ASSERT_NEAR(line[static_cast<std::size_t>(j)], a[static_cast<std::size_t>(i * n + j)],
                      6e-6 * static_cast<double>(n))
              << n << " " << i << " " << j;
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
