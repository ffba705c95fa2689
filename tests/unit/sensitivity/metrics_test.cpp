// Errors of tensors against formulas written out plainly.
#include "sensitivity/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "qvl/error.h"
#include "support/hand_made_model.h"
#include "support/model_run.h"

namespace qvl {
namespace {

using test::floats_of;
using test::noise;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> near(std::vector<float> values, unsigned seed) {
  const std::vector<float> shift = noise(values.size(), seed, 0.01F);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] += shift[i];
  return values;
}

double relative(double expected, double found) {
  return expected == found ? 0 : std::abs(expected - found) / std::abs(expected);
}

TEST(LocalSums, AreThoseOfPlainLoops) {
  for (const std::int64_t width : {1, 7, 8, 29}) {
    const std::vector<float> a = noise(static_cast<std::size_t>(6 * width), 1);
    const std::vector<float> b = near(a, 2);
    const std::vector<RowKind> rows{RowKind::picture, RowKind::text,    RowKind::other,
                                    RowKind::text,    RowKind::picture, RowKind::picture};
    LocalSums expected;
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double x = a[i];
      const double y = b[i];
      const RowKind kind = rows[i / static_cast<std::size_t>(width)];
      expected.difference += (y - x) * (y - x);
      expected.plain += x * x;
      expected.quantized += y * y;
      expected.product += x * y;
      if (kind == RowKind::picture) {
        expected.picture_difference += (y - x) * (y - x);
        expected.picture_plain += x * x;
      }
      if (kind == RowKind::text) {
        expected.text_difference += (y - x) * (y - x);
        expected.text_plain += x * x;
      }
    }
    const Tensor plain = floats_of({2, 3, width}, a);
    const Tensor quantized = floats_of({2, 3, width}, b);
    const auto with_rows = local_sums(plain.view(), quantized.view(), rows).numbers();
    const auto wanted = expected.numbers();
    for (std::size_t i = 0; i < LocalSums::kNumbers; ++i)
      EXPECT_LT(relative(wanted[i], with_rows[i]), 1e-12) << i;
    // Without kinds, or with those of another number of rows, there are the first four.
    for (const std::size_t count : {0U, 5U, 7U}) {
      const auto sums = local_sums(plain.view(), quantized.view(), std::vector<RowKind>(count)).numbers();
      for (std::size_t i = 0; i < 4; ++i) EXPECT_LT(relative(wanted[i], sums[i]), 1e-12) << i;
      for (std::size_t i = 4; i < LocalSums::kNumbers; ++i) EXPECT_EQ(sums[i], 0);
    }
  }
}

TEST(LocalSums, GiveErrors) {
  LocalSums sums{0.04, 4, 9, 5.4, 0.01, 1, 0.09, 9};
  const LocalError error = sums.error();
  EXPECT_DOUBLE_EQ(error.relative_error, 0.1);
  EXPECT_DOUBLE_EQ(error.sqnr_db, 20);
  EXPECT_DOUBLE_EQ(error.cosine, 0.9);
  EXPECT_DOUBLE_EQ(*error.picture_relative_error, 0.1);
  EXPECT_DOUBLE_EQ(*error.text_relative_error, 0.1);
  // They add up over samples, and are the same out of the store.
  sums += LocalSums::of(sums.numbers());
  EXPECT_DOUBLE_EQ(sums.error().relative_error, 0.1);
  EXPECT_EQ(sums.numbers(), (std::array{0.08, 8.0, 18.0, 10.8, 0.02, 2.0, 0.18, 18.0}));
  EXPECT_THROW((void)LocalSums::of(std::vector<double>(7)), InputError);

  const LocalError none = LocalSums{}.error();
  EXPECT_EQ(none.relative_error, 0);
  EXPECT_EQ(none.sqnr_db, 400);
  EXPECT_EQ(none.cosine, 1);
  EXPECT_FALSE(none.picture_relative_error);
  EXPECT_FALSE(none.text_relative_error);
}

TEST(LocalSums, OfDifferentShapesNothingIsAlike) {
  const LocalSums sums = local_sums(floats_of({2}, {3, 4}).view(), floats_of({3}, {1, 2, 2}).view(), {});
  EXPECT_EQ(sums.plain, 25);
  EXPECT_EQ(sums.quantized, 9);
  EXPECT_EQ(sums.difference, 34);
  EXPECT_EQ(sums.product, 0);
}

TEST(LocalSums, WantTensorsOfOneType) {
  const Tensor a = floats_of({2, 3}, noise(6, 1));
  EXPECT_THROW((void)local_sums(a.view(), Tensor(DType::i32, {2, 3}).view(), {}), InputError);
  EXPECT_THROW((void)output_sums(a.view(), floats_of({2, 4}, noise(8, 1)).view(), nullptr), InputError);
}

// Of one row, in long double, without taking care of anything but overflow.
double plain_kl(const float* a, const float* b, std::size_t width) {
  const long double most_a = *std::max_element(a, a + width);
  const long double most_b = *std::max_element(b, b + width);
  long double sum_a = 0;
  long double sum_b = 0;
  for (std::size_t i = 0; i < width; ++i) {
    sum_a += std::exp(a[i] - most_a);
    sum_b += std::exp(b[i] - most_b);
  }
  long double kl = 0;
  for (std::size_t i = 0; i < width; ++i) {
    const long double p = std::exp(a[i] - most_a) / sum_a;
    if (p > 0) kl += p * ((a[i] - most_a - std::log(sum_a)) - (b[i] - most_b - std::log(sum_b)));
  }
  return static_cast<double>(kl);
}

TEST(OutputSums, AreThoseOfPlainLoops) {
  constexpr std::size_t kWidth = 31;
  const std::vector<float> a = noise(5 * kWidth, 1, 3);
  std::vector<float> b = near(a, 2);
  b[3 * kWidth] = 50;  // another token becomes the most likely one
  const AnswerRows answer{{0, 2, 3}, {}};
  const OutputSums sums =
      output_sums(floats_of({1, 5, kWidth}, a).view(), floats_of({1, 5, kWidth}, b).view(), &answer);
  double squared = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(b[i]) - a[i];
    squared += d * d;
  }
  EXPECT_LT(relative(squared, sums.squared_error), 1e-12);
  EXPECT_EQ(sums.elements, 5 * kWidth);
  EXPECT_EQ(sums.exact, -1);
  ASSERT_EQ(sums.kl.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    const std::size_t first = static_cast<std::size_t>(answer.rows[i]) * kWidth;
    EXPECT_LT(relative(plain_kl(&a[first], &b[first], kWidth), sums.kl[i]), 1e-9);
  }
  EXPECT_EQ(sums.same, (std::vector<double>{1, 1, 0}));

  const OutputSums without =
      output_sums(floats_of({5, kWidth}, a).view(), floats_of({5, kWidth}, b).view(), nullptr);
  EXPECT_EQ(without.squared_error, sums.squared_error);
  EXPECT_TRUE(without.kl.empty());
}

OutputSums of_one_row(const std::vector<float>& a, const std::vector<float>& b,
                      const std::vector<std::int64_t>& tokens = {}) {
  const AnswerRows answer{{0}, tokens};
  const Shape shape{1, static_cast<std::int64_t>(a.size())};
  return output_sums(floats_of(shape, a).view(), floats_of(shape, b).view(), &answer);
}

TEST(OutputSums, TakeAnyLogits) {
  EXPECT_EQ(of_one_row({1, 2, 3}, {1, 2, 3}).kl[0], 0);
  EXPECT_EQ(of_one_row(noise(1000, 1, 10), noise(1000, 1, 10)).kl[0], 0);
  // Shifted as a whole they are the same distribution.
  EXPECT_NEAR(of_one_row({1, 2, 3}, {101, 102, 103}).kl[0], 0, 1e-12);
  EXPECT_EQ(of_one_row({3e38F, -3e38F}, {3e38F, -3e38F}).kl[0], 0);
  EXPECT_NEAR(of_one_row({30000, 29999}, {30000, 29998}).kl[0],
              plain_kl(std::array{1.0F, 0.0F}.data(), std::array{2.0F, 0.0F}.data(), 2), 1e-9);
  // Tokens that cannot come, here as there, are nothing; one that cannot come any more is infinitely bad.
  EXPECT_NEAR(of_one_row({1, -kInfinity, 0}, {2, -kInfinity, 0}).kl[0],
              plain_kl(std::array{1.0F, 0.0F}.data(), std::array{2.0F, 0.0F}.data(), 2), 1e-12);
  EXPECT_TRUE(std::isfinite(of_one_row({1, -kInfinity}, {1, 0}).kl[0]));
  EXPECT_EQ(of_one_row({1, 0}, {1, -kInfinity}).kl[0], std::numeric_limits<double>::infinity());
  EXPECT_GE(of_one_row(noise(1000, 1), near(noise(1000, 1), 2)).kl[0], 0);
}

TEST(OutputSums, AnAnswerIsExactWhenAllItsTokensAre) {
  const std::vector<float> plain{0, 9, 0, 0, 0, 9};
  const std::vector<float> changed{0, 9, 0, 9, 0, 0};
  const auto exact = [&](const std::vector<float>& logits, const std::vector<std::int64_t>& tokens) {
    const AnswerRows answer{{0, 1}, tokens};
    return output_sums(floats_of({2, 3}, plain).view(), floats_of({2, 3}, logits).view(), &answer).exact;
  };
  EXPECT_EQ(exact(plain, {1, 2}), 1);
  EXPECT_EQ(exact(changed, {1, 2}), 0);
  EXPECT_EQ(exact(changed, {1, 0}), 1);  // what counts is what the quantized model says
  EXPECT_EQ(exact(plain, {}), -1);
}

// An output of another number of rows than those that the answer's rows were chosen from.
TEST(OutputSums, RowsOfAnotherOutputAllCount) {
  AnswerRows answer{{1, 2, 6}, {}, 7};
  const Tensor a = floats_of({2, 3}, noise(6, 1));
  const Tensor b = floats_of({2, 3}, noise(6, 2));
  const OutputSums sums = output_sums(a.view(), b.view(), &answer);
  ASSERT_EQ(sums.kl.size(), 2U);
  EXPECT_LT(relative(plain_kl(a.as<float>().data(), b.as<float>().data(), 3), sums.kl[0]), 1e-9);
  answer = {{1}, {}, 2};
  EXPECT_EQ(output_sums(a.view(), b.view(), &answer).kl, std::vector{sums.kl[1]});
}

TEST(OutputSums, ComeOutOfTheStoreAsTheyWere) {
  const OutputSums sums{1.5, 10, 1, {0.25, 0.5}, {1, 0}};
  const OutputSums again = OutputSums::of(sums.numbers());
  EXPECT_EQ(again.numbers(), sums.numbers());
  EXPECT_EQ(again.kl, sums.kl);
  EXPECT_EQ(again.same, sums.same);
  EXPECT_THROW((void)OutputSums::of(std::vector<double>(2)), InputError);
  EXPECT_THROW((void)OutputSums::of(std::vector<double>(4)), InputError);
  EXPECT_TRUE(OutputSums::of(std::vector<double>(3)).kl.empty());
}

TEST(OutputErrorOfSamples, IsOverAllElementsAndPositions) {
  std::vector<OutputSums> samples;
  samples.push_back({2, 10, 1, {0.1, 0.4}, {1, 1}});
  samples.push_back({1, 20, 0, {0.3}, {0}});
  samples.push_back({0, 10, -1, {0.2}, {1}});
  const OutputError error = output_error(samples);
  EXPECT_DOUBLE_EQ(error.mse, 3.0 / 40);
  EXPECT_DOUBLE_EQ(*error.kl, 0.25);
  EXPECT_DOUBLE_EQ(*error.kl_stderr,
                   std::sqrt((0.15 * 0.15 + 0.15 * 0.15 + 0.05 * 0.05 + 0.05 * 0.05) / 3 / 4));
  EXPECT_DOUBLE_EQ(*error.kl_median, 0.25);
  EXPECT_DOUBLE_EQ(*error.kl_p99, 0.3 + 0.97 * 0.1);
  EXPECT_DOUBLE_EQ(*error.top1, 0.75);
  EXPECT_DOUBLE_EQ(*error.exact, 0.5);
}

TEST(OutputErrorOfSamples, HasWhatThereIs) {
  const OutputError plain = output_error(std::vector<OutputSums>{{2, 4, -1, {}, {}}});
  EXPECT_EQ(plain.mse, 0.5);
  EXPECT_FALSE(plain.kl || plain.kl_stderr || plain.kl_median || plain.kl_p99 || plain.top1 || plain.exact);
  const OutputError one = output_error(std::vector<OutputSums>{{2, 4, -1, {0.5}, {1}}});
  EXPECT_EQ(one.kl, 0.5);
  EXPECT_EQ(one.kl_stderr, 0);
  EXPECT_EQ(one.kl_median, 0.5);
  EXPECT_EQ(one.kl_p99, 0.5);
  EXPECT_EQ(output_error({}).mse, 0);
}

// Positions 1 to 101: the percentiles are those of linear interpolation, as numpy's.
TEST(OutputErrorOfSamples, Percentiles) {
  OutputSums sums{0, 1, -1, std::vector<double>(101), std::vector<double>(101)};
  std::iota(sums.kl.rbegin(), sums.kl.rend(), 1.0);
  EXPECT_EQ(output_error(std::vector{sums}).kl_median, 51);
  EXPECT_EQ(output_error(std::vector{sums}).kl_p99, 100);
  sums.kl.resize(10);
  std::iota(sums.kl.begin(), sums.kl.end(), 1.0);
  EXPECT_DOUBLE_EQ(*output_error(std::vector{sums}).kl_median, 5.5);
  EXPECT_DOUBLE_EQ(*output_error(std::vector{sums}).kl_p99, 9.91);
}

TEST(AllFinite, FindsEveryOtherNumber) {
  for (const std::size_t at : {0U, 7U, 8U, 21U, 36U}) {
    std::vector<float> values(37, std::numeric_limits<float>::max());
    values[at] = -std::numeric_limits<float>::denorm_min();
    EXPECT_TRUE(all_finite(floats_of({37}, values).view()));
    for (const float bad : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN(),
                            -std::numeric_limits<float>::signaling_NaN()}) {
      values[at] = bad;
      EXPECT_FALSE(all_finite(floats_of({37}, values).view())) << at;
    }
  }
  EXPECT_TRUE(all_finite(Tensor(DType::f32, {0}).view()));
}

TEST(OutputSums, KeepOtherOutputsInTheStore) {
  OutputSums sums{2, 4, 1, {0.5, 0.25}, {1, 0}, {{3, 6}, {0, -1}}};
  const OutputSums read = OutputSums::of(sums.numbers());
  EXPECT_EQ(read.numbers(), sums.numbers());
  EXPECT_EQ(read.kl, sums.kl);
  ASSERT_EQ(read.others.size(), 2U);
  EXPECT_EQ(read.others[0].squared_error, 3);
  const std::vector<std::string> names{"boxes", "kept"};
  const OutputError error = output_error(std::vector{read}, names);
  EXPECT_EQ(error.mse, 0.5);
  ASSERT_EQ(error.others.size(), 2U);
  EXPECT_EQ(error.others[0], (std::pair<std::string, std::optional<double>>{"boxes", 0.5}));
  EXPECT_EQ(error.others[1], (std::pair<std::string, std::optional<double>>{"kept", std::nullopt}));
  EXPECT_THROW((void)OutputSums::of(std::vector<double>{-3, 1, 2, 3}), InputError);
}

}  // namespace
}  // namespace qvl
