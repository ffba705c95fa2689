#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "qvl/error.h"

namespace qvl {
namespace {

constexpr float kEndless = std::numeric_limits<float>::infinity();
constexpr float kLowest = std::numeric_limits<float>::lowest();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Array {
  Shape shape;
  std::vector<float> values;

  [[nodiscard]] AttentionOperand operand() const { return {shape, values.data()}; }
};

Array made(const Shape& shape, const std::function<float(std::int64_t)>& value) {
  Array array{shape, std::vector<float>(static_cast<std::size_t>(element_count(shape).value()))};
  for (std::size_t i = 0; i < array.values.size(); ++i) array.values[i] = value(static_cast<std::int64_t>(i));
  return array;
}

Array noise(const Shape& shape, std::uint32_t seed, float size = 1.0F) {
  std::uint32_t state = seed;
  return made(shape, [&](std::int64_t) {
    state = state * 1664525U + 1013904223U;
    return (static_cast<float>(state >> 8U) - 0x1p23F) * 0x1p-23F * size;
  });
}

// The element at a place of the whole shape, whose dimensions the array's broadcast to.
double at(const Array& array, const std::vector<std::int64_t>& place) {
  std::int64_t index = 0;
  const std::size_t skip = place.size() - array.shape.size();
  for (std::size_t i = 0; i < array.shape.size(); ++i)
    index = index * array.shape[i] + (array.shape[i] == 1 ? 0 : place[skip + i]);
  return static_cast<double>(array.values[static_cast<std::size_t>(index)]);
}

struct Problem {
  Array q, k, v;
  std::optional<Array> mask;
  float scale = 1.0F;
  bool zero_for_nan = false;

  [[nodiscard]] AttentionInputs inputs() const {
    AttentionInputs in{q.operand(), k.operand(), v.operand(), std::nullopt, scale, zero_for_nan};
    if (mask) in.mask = mask->operand();
    return in;
  }
};

std::vector<float> fused(const Problem& problem, Isa isa) {
  std::vector<float> out(static_cast<std::size_t>(element_count(attention_shape(problem.inputs())).value()),
                         -7.0F);
  attention(problem.inputs(), out, isa);
  return out;
}

// As ONNX's operators define it. A score and its mask are added in f32, so that the lowest float swallows the
// score.
std::vector<double> weights_of_row(const Problem& problem, std::vector<std::int64_t> place,
                                   std::int64_t keys) {
  std::vector<double> scores;
  for (std::int64_t key = 0; key < keys; ++key) {
    double score = 0.0;
    std::vector<std::int64_t> q_place = place;
    std::vector<std::int64_t> k_place = place;
    k_place.back() = key;
    for (std::int64_t i = 0; i < problem.q.shape.back(); ++i) {
      q_place.back() = i;
      k_place[k_place.size() - 2] = i;
      score += at(problem.q, q_place) * at(problem.k, k_place);
    }
    score *= static_cast<double>(problem.scale);
    place.back() = key;
    if (problem.mask) {
      const double mask = at(*problem.mask, place);
      score = std::abs(mask) > 1e6 ? static_cast<double>(static_cast<float>(mask + score)) : mask + score;
    }
    scores.push_back(score);
  }
  double top = -std::numeric_limits<double>::infinity();
  for (const double score : scores) top = score > top ? score : top;
  double sum = 0.0;
  for (double& score : scores) sum += score = std::exp(score - top);
  for (double& score : scores) score = problem.zero_for_nan && std::isnan(sum) ? 0.0 : score / sum;
  return scores;
}

std::vector<double> plain(const Problem& problem) {
  const Shape shape = attention_shape(problem.inputs());
  const std::int64_t keys = problem.v.shape[problem.v.shape.size() - 2];
  const std::int64_t width = shape.back();
  const std::int64_t count = element_count(shape).value();
  std::vector<double> result;
  for (std::int64_t row = 0; row * width < count; ++row) {
    std::vector<std::int64_t> place(shape.size());
    std::int64_t rest = row;
    for (std::size_t i = shape.size() - 1; i-- > 0; rest /= shape[i]) place[i] = rest % shape[i];
    const std::vector<double> weights = weights_of_row(problem, place, keys);
    for (std::int64_t column = 0; column < width; ++column) {
      double sum = 0.0;
      std::vector<std::int64_t> v_place = place;
      v_place.back() = column;
      for (std::int64_t key = 0; key < keys; ++key) {
        v_place[v_place.size() - 2] = key;
        sum += weights[static_cast<std::size_t>(key)] * at(problem.v, v_place);
      }
      result.push_back(sum);
    }
  }
  return result;
}

// `bar` is relative to the greatest value.
void expect_right(const Problem& problem, double bar = 2e-6) {
  const std::vector<double> expected = plain(problem);
  double most = 0.0;
  for (const double value : expected) most = std::isfinite(value) ? std::max(most, std::abs(value)) : most;
  for (const Isa isa : supported_isas()) {
    const std::vector<float> found = fused(problem, isa);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (std::isnan(expected[i])) {
        ASSERT_TRUE(std::isnan(found[i])) << name(isa) << " " << i << ": " << found[i];
      } else {
        ASSERT_NEAR(static_cast<double>(found[i]), expected[i], bar * most) << name(isa) << " " << i;
      }
    }
  }
}

Problem simple(std::int64_t rows, std::int64_t keys, std::int64_t depth, std::int64_t width) {
  return {noise({rows, depth}, 1, 2.0F), noise({depth, keys}, 2, 2.0F), noise({keys, width}, 3), std::nullopt,
          1.0F / std::sqrt(static_cast<float>(depth))};
}

Array causal(std::int64_t rows, std::int64_t keys, float low) {
  return made({rows, keys}, [=](std::int64_t i) { return i % keys <= i / keys + keys - rows ? 0.0F : low; });
}

TEST(Attention, SizesThatFitNoVector) {
  for (const std::int64_t size : {1, 2, 7, 15, 16, 17, 31, 33, 47, 49, 64, 65}) {
    SCOPED_TRACE(size);
    expect_right(simple(size, 70 - size, 5, 3));
    expect_right(simple(5, size, size, size));
    expect_right(simple(70 - size, 13, 32, size));
  }
}

TEST(Attention, MoreKeysThanABlock) {
  for (const std::int64_t keys : {255, 256, 257, 300, 512, 700}) {
    SCOPED_TRACE(keys);
    expect_right(simple(61, keys, 32, 40));
  }
  expect_right(simple(3, 290, 80, 80));
  expect_right(simple(3, 290, 128, 128));
}

TEST(Attention, MasksOfAllShapes) {
  Problem problem = simple(100, 330, 16, 24);
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{330}, Shape{1, 330}, Shape{100, 1}, Shape{100, 330}}) {
    SCOPED_TRACE(to_string(shape));
    problem.mask = noise(shape, 9, 5.0F);
    expect_right(problem);
  }
}

// Under the sanitizers, where these are slow, two of them go all the ways through the code.
#if defined(QVL_SANITIZED)
const std::vector<float> kLows{kLowest, -90.0F};
#else
const std::vector<float> kLows{kLowest, -kEndless, -1e4F, -2000.0F, -90.0F, -20.0F};
#endif

TEST(Attention, CausalMasks) {
  for (const float low : kLows) {
    for (const auto& [rows, keys] : {std::pair{300, 300}, std::pair{70, 300}, std::pair{257, 257}}) {
      SCOPED_TRACE(low);
      Problem problem = simple(rows, keys, 24, 32);
      problem.mask = causal(rows, keys, low);
      expect_right(problem);
    }
  }
}

TEST(Attention, SkippedKeysChangeNoBit) {
  Problem problem = simple(200, 600, 24, 40);
  problem.mask = made({600}, [](std::int64_t i) { return i < 320 ? 0.0F : kLowest; });
  Problem shorter = problem;
  shorter.k = made({24, 320}, [&](std::int64_t i) { return problem.k.values[i / 320 * 600 + i % 320]; });
  shorter.v = {{320, 40}, {problem.v.values.begin(), problem.v.values.begin() + 320 * 40}};
  shorter.mask.reset();
  for (const Isa isa : supported_isas()) EXPECT_EQ(fused(problem, isa), fused(shorter, isa)) << name(isa);
}

TEST(Attention, LowScoresCountWhereNothingIsHigher) {
  // Left padding: the first rows see nothing but the lowest float, and give the mean of all values.
  Problem problem = simple(300, 300, 16, 20);
  problem.mask =
      made({300, 300}, [](std::int64_t i) { return i % 300 >= 100 && i % 300 <= i / 300 ? 0.0F : kLowest; });
  expect_right(problem);
  // The greatest score of all is among the masked ones: a mask of -2000 is no reason to skip.
  problem = simple(60, 300, 16, 20);
  problem.mask = made({300}, [](std::int64_t i) { return i < 150 ? 0.0F : -2000.0F; });
  for (std::int64_t i = 0; i < 16; ++i) {
    for (std::int64_t key = 150; key < 300; ++key) problem.k.values[i * 300 + key] *= 3000.0F;
  }
  expect_right(problem, 1e-3);  // of scores of thousands, f32 keeps three digits
}

TEST(Attention, RowsThatSeeNothing) {
  Problem problem = simple(70, 310, 16, 20);
  for (const float low : {kLowest, -1e9F, -kEndless}) {
    SCOPED_TRACE(low);
    problem.mask = made({70, 310}, [=](std::int64_t i) { return i / 310 % 5 == 0 ? low : 0.0F; });
    expect_right(problem);
    problem.zero_for_nan = true;
    expect_right(problem);
    problem.mask = made({310}, [=](std::int64_t) { return low; });
    expect_right(problem);
    problem.zero_for_nan = false;
    expect_right(problem);
  }
  // Minus infinity for the first blocks of keys only.
  problem.mask = made({310}, [](std::int64_t i) { return i < 290 ? -kEndless : 0.0F; });
  expect_right(problem);
}

TEST(Attention, ValuesThatAreNoNumbers) {
  Problem problem = simple(60, 300, 16, 20);
  problem.mask = causal(60, 300, kLowest);
  for (const float odd : {kNaN, kEndless, -kEndless}) {
    Problem broken = problem;
    broken.v.values[299 * 20 + 3] = odd;  // seen by the last row; a weight of 0 times it is no number either
    const std::vector<float> in_values = fused(broken, best_isa());
    broken = problem;
    broken.q.values[5 * 16 + 2] = odd;
    const std::vector<float> in_query = fused(broken, best_isa());
    broken = problem;
    broken.k.values[299] = odd;
    const std::vector<float> in_key = fused(broken, best_isa());
    broken = problem;
    broken.mask->values[7 * 300 + 299] = odd;
    const std::vector<float> in_mask = fused(broken, best_isa());
    for (std::size_t row = 0; row < 60; ++row) {
      EXPECT_TRUE(std::isnan(in_values[row * 20 + 3]) || (row == 59 && std::isinf(in_values[row * 20 + 3])));
      EXPECT_TRUE(std::isfinite(in_values[row * 20 + 4]));
      EXPECT_EQ(std::isnan(in_query[row * 20]), row == 5);
      EXPECT_TRUE(std::isnan(in_key[row * 20]) || !std::isnan(odd));
      EXPECT_EQ(std::isnan(in_mask[row * 20]), row == 7 && odd != -kEndless);
    }
  }
}

TEST(Attention, HugeScores) {
  Problem problem = simple(20, 300, 16, 20);
  problem.scale = 1e4F;
  for (const Isa isa : supported_isas()) {
    const std::vector<float> found = fused(problem, isa);
    // One key has all the weight.
    for (std::int64_t row = 0; row < 20; ++row) {
      std::vector<std::int64_t> place{row, 0};
      const std::vector<double> weights = weights_of_row(problem, place, 300);
      const auto best = std::max_element(weights.begin(), weights.end()) - weights.begin();
      if (weights[static_cast<std::size_t>(best)] < 1.0) continue;
      for (std::int64_t i = 0; i < 20; ++i)
        EXPECT_EQ(found[row * 20 + i], problem.v.values[best * 20 + i]) << name(isa);
    }
  }
  problem.scale = 1e38F;
  for (const float value : fused(problem, best_isa())) EXPECT_TRUE(std::isnan(value));  // infinite scores
}

TEST(Attention, ExponentialIsRightToTwoUlp) {
  // Weights of the scores 0 and x are 1 and e^x, and the values 0 and 1 + e^x give e^x back.
  for (double x = 0.0; x > -87.0; x -= 0.013) {
    const auto score = static_cast<float>(x);
    const double expected = std::exp(static_cast<double>(score));
    const Problem problem{
        {{1, 1}, {1.0F}}, {{1, 2}, {0.0F, score}}, {{2, 1}, {0.0F, 1.0F}}, std::nullopt, 1.0F};
    for (const Isa isa : supported_isas()) {
      const double weight = static_cast<double>(fused(problem, isa)[0]);
      EXPECT_NEAR(weight * (1.0 + expected) / expected, 1.0, 2.5e-7) << name(isa) << " " << x;
    }
  }
}

TEST(Attention, LeadingDimensionsBroadcast) {
  Problem problem{noise({2, 3, 4, 10, 8}, 1), noise({2, 3, 1, 8, 40}, 2), noise({3, 1, 40, 6}, 3),
                  noise({2, 1, 1, 1, 40}, 4, 3.0F), 0.5F};
  EXPECT_EQ(attention_shape(problem.inputs()), (Shape{2, 3, 4, 10, 6}));
  expect_right(problem);
  problem = {noise({10, 8}, 1), noise({8, 40}, 2), noise({5, 40, 6}, 3), noise({3, 1, 10, 40}, 4), 1.0F};
  EXPECT_EQ(attention_shape(problem.inputs()), (Shape{3, 5, 10, 6}));
  expect_right(problem);
}

TEST(Attention, ScoresBroadcastToTheMask) {
  Problem problem{noise({2, 1, 8}, 1), noise({2, 8, 40}, 2), noise({2, 40, 6}, 3), noise({10, 40}, 4), 1.0F};
  EXPECT_EQ(attention_shape(problem.inputs()), (Shape{2, 10, 6}));
  expect_right(problem);
  problem.k = noise({2, 8, 1}, 5);
  expect_right(problem);
}

TEST(Attention, EmptyOperands) {
  const Problem no_keys{noise({4, 8}, 1), noise({8, 0}, 2), noise({0, 3}, 3), std::nullopt, 1.0F};
  EXPECT_EQ(fused(no_keys, best_isa()), std::vector<float>(12, 0.0F));
  EXPECT_TRUE(
      fused({noise({0, 8}, 1), noise({8, 5}, 2), noise({5, 3}, 3), std::nullopt, 1.0F}, best_isa()).empty());
  expect_right({noise({4, 0}, 1), noise({0, 5}, 2), noise({5, 3}, 3), std::nullopt, 1.0F});  // the mean
}

TEST(Attention, RefusesShapesThatDoNotFit) {
  const Problem good = simple(4, 5, 6, 7);
  const auto refused = [&](auto change) {
    Problem problem = good;
    change(problem);
    EXPECT_THROW((void)attention_shape(problem.inputs()), InputError);
  };
  refused([](Problem& p) { p.q.shape = {24}; });
  refused([](Problem& p) { p.k.shape = {5, 6}; });
  refused([](Problem& p) { p.v.shape = {7, 5}; });
  refused([](Problem& p) { p.mask = noise({4, 6}, 1); });
  refused([](Problem& p) { p.mask = noise({3, 5}, 1); });
  refused([](Problem& p) {
    p.q.shape = {2, 2, 6};
    p.v.shape = {3, 5, 7};
  });
  std::vector<float> short_by_one(27);
  EXPECT_THROW(attention(good.inputs(), short_by_one), UsageError);
}

}  // namespace
}  // namespace qvl
