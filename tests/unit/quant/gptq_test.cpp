#include "quant/gptq.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "quant/scale_search.h"
#include "qvl/error.h"
#include "support/hand_made_model.h"

namespace qvl {
namespace {

constexpr const char* kFormats = "int8,int8:32,int4:16,int4:32,int4:128,int8-dynamic";

// [count, depth], each input a mixture of a few hidden ones and a little of its own, of growing size.
std::vector<float> correlated(std::int64_t count, std::int64_t depth, unsigned seed) {
  constexpr std::int64_t kHidden = 12;
  const auto mixture = test::noise(static_cast<std::size_t>(kHidden * depth), seed);
  const auto hidden = test::noise(static_cast<std::size_t>(count * kHidden), seed + 1);
  auto rows = test::noise(static_cast<std::size_t>(count * depth), seed + 2, 0.5F);
  for (std::int64_t row = 0; row < count; ++row) {
    for (std::int64_t k = 0; k < depth; ++k) {
      float& value = rows[static_cast<std::size_t>(row * depth + k)];
      for (std::int64_t h = 0; h < kHidden; ++h)
        value += hidden[static_cast<std::size_t>(row * kHidden + h)] *
                 mixture[static_cast<std::size_t>(h * depth + k)];
      value *= 0.2F + static_cast<float>(k * 7 % depth) / static_cast<float>(depth);
    }
  }
  return rows;
}

Hessian hessian_of(const std::vector<float>& rows, std::int64_t depth) {
  Hessian hessian(depth);
  hessian.add(rows);
  return hessian;
}

// Squared error of the output, summed over rows and output channels.
double output_error(const QuantizedWeights& found, const std::vector<float>& in,
                    const std::vector<float>& rows) {
  const WeightLayout& layout = found.layout;
  std::vector<float> values(in.size());
  found.dequantize(values);
  double sum = 0;
  for (std::size_t row = 0; row < rows.size(); row += static_cast<std::size_t>(layout.depth)) {
    for (std::int64_t n = 0; n < layout.rows; ++n) {
      double error = 0;
      for (std::int64_t k = 0; k < layout.depth; ++k) {
        const std::size_t at = layout.index(0, n, k);
        error += (double{in[at]} - values[at]) * rows[row + static_cast<std::size_t>(k)];
      }
      sum += error * error;
    }
  }
  return sum;
}

class Inverse {
 public:
  // Of the damped Hessian over the inputs in this order; Gauss-Jordan in f64.
  Inverse(const Hessian& hessian, const std::vector<std::int64_t>& order, double damping)
      : n_(order.size()), values_(n_ * n_) {
    std::vector<double> a(n_ * n_);
    const auto depth = hessian.depth();
    double mean = 0;
    double live = 0;
    for (std::int64_t k = 0; k < depth; ++k) {
      const double square = hessian.sums()[static_cast<std::size_t>(k * (depth + 1))];
      mean += square;
      live += square != 0 ? 1 : 0;
    }
    mean /= live;
    for (std::size_t i = 0; i < n_; ++i) {
      for (std::size_t j = 0; j < n_; ++j)
        a[i * n_ + j] = hessian.sums()[static_cast<std::size_t>(order[i] * depth + order[j])];
      a[i * n_ + i] = a[i * n_ + i] == 0 ? 1 : a[i * n_ + i] + damping * mean;
      at(i, i) = 1;
    }
    for (std::size_t p = 0; p < n_; ++p) {
      const double pivot = a[p * n_ + p];
      for (std::size_t j = 0; j < n_; ++j) {
        a[p * n_ + j] /= pivot;
        at(p, j) /= pivot;
      }
      for (std::size_t i = 0; i < n_; ++i) {
        const double factor = i == p ? 0 : a[i * n_ + p];
        if (factor == 0) continue;
        for (std::size_t j = 0; j < n_; ++j) {
          a[i * n_ + j] -= factor * a[p * n_ + j];
          at(i, j) -= factor * at(p, j);
        }
      }
    }
  }

  double& at(std::size_t i, std::size_t j) { return values_[i * n_ + j]; }

  // Becomes the inverse for the inputs behind `gone`.
  void eliminate(std::size_t gone) {
    for (std::size_t i = gone + 1; i < n_; ++i) {
      const double factor = at(i, gone) / at(gone, gone);
      for (std::size_t j = gone + 1; j < n_; ++j) at(i, j) -= factor * at(gone, j);
    }
  }

 private:
  std::size_t n_;
  std::vector<double> values_;
};

std::vector<std::int64_t> order_of(const Hessian& hessian, bool largest_first) {
  const std::int64_t depth = hessian.depth();
  std::vector<std::int64_t> order(static_cast<std::size_t>(depth));
  std::iota(order.begin(), order.end(), 0);
  const auto diagonal = [&](std::int64_t k) {
    return hessian.sums()[static_cast<std::size_t>(k * (depth + 1))];
  };
  if (largest_first) {
    std::stable_sort(order.begin(), order.end(),
                     [&](std::int64_t a, std::int64_t b) { return diagonal(a) > diagonal(b); });
  }
  return order;
}

// The paper's step, one input at a time, all others updated at once: each level that was found must be the
// nearest to what the weight has become after the levels before it, but where two are equally near within
// the rounding of f32.
void expect_paper(const QuantizedWeights& found, const std::vector<float>& in, const Hessian& hessian,
                  const GptqOptions& options, double damping) {
  const auto& [layout, format, levels, scales] = found;
  const std::vector<std::int64_t> order = order_of(hessian, options.largest_first);
  const int least = format.block == 0 ? -127 : -(1 << (format.bits - 1));
  const int most = (1 << (format.bits - 1)) - 1;
  std::vector<double> weights(in.begin(), in.end());
  Inverse inverse(hessian, order, damping);
  std::int64_t moved = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::int64_t k = order[i];
    const std::int64_t block = format.block == 0 ? 0 : k / format.block;
    for (std::int64_t n = 0; n < layout.rows; ++n) {
      const std::size_t at = layout.index(0, n, k);
      const double scale = scales[static_cast<std::size_t>(n * format.blocks(layout.depth) + block)];
      const double target = std::clamp(weights[at] / scale, double(least), double(most));
      ASSERT_LE(std::abs(target - levels[at]), 0.5 + 2e-3)
          << to_string(format) << " channel " << n << " input " << k << " visited as " << i;
      moved += std::lround(in[at] / scale) != levels[at] ? 1 : 0;
      const double error = (weights[at] - levels[at] * scale) / inverse.at(i, i);
      for (std::size_t j = i + 1; j < order.size(); ++j)
        weights[layout.index(0, n, order[j])] -= error * inverse.at(i, j);
    }
    inverse.eliminate(i);
  }
  EXPECT_GT(moved, layout.rows * layout.depth / 20);  // the errors that are carried over count
}

TEST(Hessian, IsTheSumOfProductsOfInputs) {
  constexpr std::size_t kDepth = 203;
  constexpr std::size_t kRows = 300;
  const auto rows = test::noise(kDepth * kRows, 1);
  std::vector<double> expected(kDepth * kDepth);
  for (std::size_t row = 0; row < kRows; ++row) {
    for (std::size_t i = 0; i < kDepth; ++i) {
      const double left = rows[row * kDepth + i];
      for (std::size_t j = 0; j < kDepth; ++j) expected[i * kDepth + j] += left * rows[row * kDepth + j];
    }
  }
  const auto sums_of = [&](Isa isa, int threads) {
    Hessian hessian(kDepth);
    hessian.add(std::span(rows).first(kDepth * 270), isa, threads);
    hessian.add(std::span(rows).subspan(kDepth * 270), isa, threads);
    hessian.add({}, isa, threads);
    EXPECT_EQ(hessian.rows_seen(), kRows);
    return hessian;
  };
  for (const Isa isa : supported_isas()) {
    const Hessian hessian = sums_of(isa, 1);
    EXPECT_TRUE(std::ranges::equal(hessian.sums(), sums_of(isa, 4).sums()));
    const auto means = hessian.mean_squares();
    for (std::size_t i = 0; i < kDepth; ++i) {
      for (std::size_t j = 0; j < kDepth; ++j) {
        ASSERT_NEAR(hessian.sums()[i * kDepth + j], expected[i * kDepth + j], 1e-3);
        ASSERT_EQ(hessian.sums()[i * kDepth + j], hessian.sums()[j * kDepth + i]);
      }
      ASSERT_NEAR(means[i], expected[i * kDepth + i] / kRows, 1e-5);
    }
  }
}

TEST(Hessian, TakesFiniteWholeRowsOnly) {
  Hessian hessian(4);
  const std::vector<float> rows{1, 2, 3, 4, 5, std::numeric_limits<float>::quiet_NaN(), 7, 8};
  try {
    hessian.add(rows);
    ADD_FAILURE() << "NaN was taken";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("input 1 of row 1"), std::string::npos) << error.what();
  }
  EXPECT_EQ(hessian.rows_seen(), 0);
  EXPECT_EQ(hessian.sums()[0], 0);
  EXPECT_THROW(hessian.add(std::vector<float>(5)), UsageError);
  EXPECT_THROW(Hessian(0), UsageError);
}

TEST(Gptq, FindsTheLevelsOfThePaper) {
  const std::int64_t depth = 130;
  const auto rows = correlated(400, depth, 1);
  const Hessian hessian = hessian_of(rows, depth);
  for (const DepthAxis axis : {DepthAxis::contiguous, DepthAxis::strided}) {
    const WeightLayout layout{1, 9, depth, axis};
    const auto weights = test::noise(layout.elements(), 4, 0.05F);
    for (const Format& format : parse_formats(kFormats)) {
      for (const bool first : {false, true}) {
        for (const Isa isa : supported_isas()) {
          if (axis == DepthAxis::contiguous && isa != best_isa()) continue;  // enough with one of them
          GptqOptions options;
          options.largest_first = options.least_squares = first;
          options.panel = first ? 32 : 100;
          const QuantizedWeights found = quantize_gptq(layout, format, weights, hessian, options, isa);
          if (!first) {
            EXPECT_EQ(found.scales, quantize_weights(layout, format, weights).scales);
          }
          expect_paper(found, weights, hessian, options, options.damping);
        }
      }
    }
  }
}

TEST(Gptq, ScalesAreThoseOfLeastSquaresWithWhatCannotBeMadeUpFor) {
  const std::int64_t depth = 150;
  auto rows = correlated(400, depth, 1);
  for (std::size_t i = 7; i < rows.size(); i += 150) rows[i] = 0;
  const Hessian hessian = hessian_of(rows, depth);
  const WeightLayout layout{1, 40, depth, DepthAxis::contiguous};
  const auto weights = test::noise(layout.elements(), 4, 0.05F);
  for (const bool largest_first : {false, true}) {
    GptqOptions options;
    options.largest_first = largest_first;
    const std::vector<std::int64_t> order = order_of(hessian, largest_first);
    Inverse inverse(hessian, order, options.damping);
    std::vector<float> importance(150);
    for (std::size_t i = 0; i < order.size(); ++i) {
      importance[static_cast<std::size_t>(order[i])] =
          order[i] == 7 ? 0.0F : static_cast<float>(1 / inverse.at(i, i));
      inverse.eliminate(i);
    }
    for (const Format& format : parse_formats(kFormats)) {
      const auto expected = quantize_least_squares(layout, format, weights, importance).scales;
      const auto found = quantize_gptq(layout, format, weights, hessian, options).scales;
      ASSERT_EQ(found.size(), expected.size());
      // Of two candidates that are equally good either may win.
      std::size_t equal = 0;
      for (std::size_t i = 0; i < found.size(); ++i)
        equal += std::abs(found[i] / expected[i] - 1) < 1e-4 ? 1 : 0;
      EXPECT_GE(equal, found.size() - found.size() / 50) << to_string(format);
      EXPECT_NE(found, quantize_least_squares(layout, format, weights, hessian.mean_squares()).scales);
    }
  }
}

TEST(Gptq, TheErrorOfTheOutputIsFarBelowThatOfRoundingToNearest) {
  const std::int64_t depth = 160;
  const auto rows = correlated(500, depth, 7);
  const auto others = correlated(700, depth, 7);  // of the same mixture
  const std::span<const float> unseen = std::span(others).last(static_cast<std::size_t>(100 * depth));
  const Hessian hessian = hessian_of(rows, depth);
  const WeightLayout layout = WeightLayout::of_matmul({depth, 30});
  const auto weights = test::noise(layout.elements(), 8, 0.05F);
  for (const Format& format : parse_formats(kFormats)) {
    const QuantizedWeights nearest = quantize_weights(layout, format, weights);
    const QuantizedWeights found = quantize_gptq(layout, format, weights, hessian);
    EXPECT_LT(output_error(found, weights, rows), 0.5 * output_error(nearest, weights, rows))
        << to_string(format);
    const std::vector<float> fresh(unseen.begin(), unseen.end());
    EXPECT_LT(output_error(found, weights, fresh), 0.6 * output_error(nearest, weights, fresh))
        << to_string(format);
  }
}

TEST(Gptq, IsTheSameForEveryNumberOfThreads) {
  const std::int64_t depth = 300;  // two blocks of the factor, and two pieces of output channels
  const Hessian hessian = hessian_of(correlated(200, depth, 9), depth);
  const WeightLayout layout = WeightLayout::of_matmul({depth, 300});
  const auto weights = test::noise(layout.elements(), 10, 0.05F);
  for (const Isa isa : supported_isas()) {
    const Format format = parse_format("int4:32");
    const QuantizedWeights one = quantize_gptq(layout, format, weights, hessian, {}, isa, 1);
    const QuantizedWeights many = quantize_gptq(layout, format, weights, hessian, {}, isa, 4);
    EXPECT_EQ(one.levels, many.levels) << name(isa);
    EXPECT_EQ(one.scales, many.scales) << name(isa);
  }
}

TEST(Gptq, InputsThatWereAlwaysZeroKeepTheirRoundedWeights) {
  const std::int64_t depth = 96;
  auto rows = correlated(300, depth, 11);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i % 96 % 5 == 0) rows[i] = 0;
    if (i % 96 == 1) rows[i] *= 1e-30F;  // its square is 0, its products with others are not
  }
  const Hessian hessian = hessian_of(rows, depth);
  const WeightLayout layout{1, 10, depth, DepthAxis::contiguous};
  const auto weights = test::noise(layout.elements(), 12, 0.05F);
  GptqOptions options;
  options.least_squares = false;
  for (const Format& format : parse_formats(kFormats)) {
    const QuantizedWeights nearest = quantize_weights(layout, format, weights);
    const QuantizedWeights found = quantize_gptq(layout, format, weights, hessian, options);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (i % 96 % 5 == 0 || i % 96 == 1) {
        ASSERT_EQ(found.levels[i], nearest.levels[i]) << i;
      }
    }
    options.damping = 0.3;  // of the mean without them
    expect_paper(quantize_gptq(layout, format, weights, hessian, options), weights, hessian, options, 0.3);
    EXPECT_EQ(quantize_gptq(layout, format, weights, Hessian(depth), options).levels, nearest.levels);
  }
}

TEST(Gptq, ASingularHessianIsDampedUntilItHasAFactor) {
  const std::int64_t depth = 64;
  auto rows = correlated(20, depth, 13);  // rank 20
  for (std::size_t i = 1; i < rows.size(); i += 64) rows[i] = rows[i - 1];
  const Hessian hessian = hessian_of(rows, depth);
  const WeightLayout layout{1, 10, depth, DepthAxis::contiguous};
  const auto weights = test::noise(layout.elements(), 14, 0.05F);
  const Format format = parse_format("int4:32");
  GptqOptions options;
  options.damping = 0;
  const QuantizedWeights found = quantize_gptq(layout, format, weights, hessian, options);
  expect_paper(found, weights, hessian, options, 1e-4);
  EXPECT_LT(output_error(found, weights, rows),
            0.2 * output_error(quantize_weights(layout, format, weights), weights, rows));
}

TEST(Gptq, FarTargetsStayWithinTheLevels) {
  // Two inputs that are nearly one: the second has to make up for all of the first one's error.
  const std::int64_t depth = 2;
  const Hessian hessian = hessian_of({1e10F, 1e-2F, 1e10F, -1e-2F, 1e10F, 1e-2F}, depth);
  const WeightLayout layout{1, 3, depth, DepthAxis::contiguous};
  GptqOptions options;
  options.damping = 1e-6;
  for (const Format& format : parse_formats(kFormats)) {
    const QuantizedWeights found = quantize_gptq(
        layout, format, std::vector<float>{3e38F, 1, -3e38F, 1, 1e-44F, 1e-44F}, hessian, options);
    for (const std::int8_t level : found.levels) {
      EXPECT_GE(level, format.block == 0 ? -127 : -(1 << (format.bits - 1)));
      EXPECT_LT(level, 1 << (format.bits - 1));
    }
  }
}

TEST(Gptq, SaysWhatItCannotTake) {
  const WeightLayout layout{1, 2, 4, DepthAxis::contiguous};
  const std::vector<float> weights(8, 1.0F);
  const Format format = parse_format("int8");
  const Hessian hessian = hessian_of({1, 2, 3, 4}, 4);
  EXPECT_THROW((void)quantize_gptq({2, 1, 4, DepthAxis::contiguous}, format, weights, hessian), UsageError);
  EXPECT_THROW((void)quantize_gptq(layout, format, weights, Hessian(5)), UsageError);
  EXPECT_THROW((void)quantize_gptq(layout, format, weights, hessian, {-0.1}), UsageError);
  EXPECT_THROW((void)quantize_gptq(layout, format, weights, hessian, {0.01, true, true, 0}), UsageError);
  EXPECT_THROW((void)quantize_gptq(layout, format, std::vector<float>(7), hessian), UsageError);
  auto bad = weights;
  bad[5] = std::numeric_limits<float>::infinity();
  EXPECT_THROW((void)quantize_gptq(layout, format, bad, hessian), InputError);
  EXPECT_THROW((void)quantize_gptq(layout, format, weights, hessian_of({3e38F, 2, 3, 4}, 4)), InputError);
  EXPECT_TRUE(quantize_gptq({1, 0, 4}, format, {}, hessian).levels.empty());
}

}  // namespace
}  // namespace qvl
