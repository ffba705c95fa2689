#include "quant/scale_search.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "quant/fake_quantize.h"
#include "qvl/error.h"
#include "support/hand_made_model.h"

namespace qvl {
namespace {

constexpr const char* kFormats = "int8,int8:16,int8:64,int4:16,int4:32,int4:128,int4:4096";

// The rules of quant/fake_quantize.h, one number at a time.
int level_slowly(const Format& format, float weight, float scale) {
  if (format.block == 0) {
    const double level = std::nearbyint(weight / scale);
    return static_cast<int>(std::clamp(level, -127.0, 127.0));
  }
  const int half = format.bits == 8 ? 128 : 8;
  const float level = std::roundf(weight * (1.0F / scale) + static_cast<float>(half));
  return static_cast<int>(std::clamp(level, 0.0F, static_cast<float>(2 * half - 1))) - half;
}

float rule_scale_slowly(const Format& format, const std::vector<float>& weights) {
  float largest = 0;
  for (const float weight : weights) {
    const bool negative_of_two = std::abs(weight) == std::abs(largest) && weight < 0;
    if (std::abs(weight) > std::abs(largest) || negative_of_two) largest = weight;
  }
  if (format.block == 0) return std::abs(largest) / 127.0F != 0 ? std::abs(largest) / 127.0F : 1.0F;
  const float scale = largest / (format.bits == 8 ? -128.0F : -8.0F);
  return std::isinf(1.0F / scale) ? 1.0F : scale;
}

bool usable(const Format& format, float scale) {
  return scale != 0 && std::isfinite(scale) && (format.block == 0 || std::isfinite(1.0F / scale));
}

double error_slowly(const Format& format, const std::vector<float>& weights,
                    const std::vector<float>& importance, float scale) {
  double sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (importance[i] == 0) continue;
    const float value = static_cast<float>(level_slowly(format, weights[i], scale)) * scale;
    sum += importance[i] * std::pow(double{weights[i]} - value, 2);
  }
  return sum;
}

// From the definition in the header.
float best_slowly(const Format& format, const std::vector<float>& weights,
                  const std::vector<float>& importance) {
  std::vector<float> important;
  for (std::size_t i = 0; i < weights.size(); ++i)
    important.push_back(importance[i] == 0 ? 0.0F : weights[i]);
  std::vector<float> ratios;
  if (format.bits == 4) {
    for (int i = 0; i < 29; ++i) ratios.push_back(1.14F - 0.02F * static_cast<float>(i));
  } else {
    for (int i = 0; i < 15; ++i) ratios.push_back(1.008F - 0.004F * static_cast<float>(i));
    for (int i = 0; i < 8; ++i) ratios.push_back(0.92F - 0.03F * static_cast<float>(i));
  }
  const float start = rule_scale_slowly(format, important);
  float best = rule_scale_slowly(format, weights);
  double least = error_slowly(format, important, importance, best);
  const auto attempt = [&](float from) {
    if (!usable(format, from)) return false;
    double products = 0;
    double squares = 0;
    for (std::size_t i = 0; i < important.size(); ++i) {
      const double level = level_slowly(format, important[i], from);
      products += importance[i] * level * important[i];
      squares += importance[i] * level * level;
    }
    if (!(squares > 0)) return false;
    const auto scale = static_cast<float>(products / squares);
    if (!usable(format, scale)) return false;
    const double error = error_slowly(format, important, importance, scale);
    if (!(error < least)) return false;
    least = error;
    best = scale;
    return true;
  };
  for (const float ratio : ratios) attempt(start * ratio);
  for (int i = 0; i < 4 && attempt(best); ++i) {
  }
  return best;
}

// Weights of one block, in the order of the inputs.
struct Block {
  std::vector<float> weights;
  std::vector<float> importance;
  std::vector<int> levels;
  float scale;
};

std::vector<Block> blocks_of(const QuantizedWeights& found, const std::vector<float>& in,
                             const std::vector<float>& importance) {
  const WeightLayout& layout = found.layout;
  const std::int64_t size = found.format.block == 0 ? layout.depth : found.format.block;
  std::vector<Block> blocks;
  for (std::int64_t matrix = 0; matrix < layout.matrices; ++matrix) {
    for (std::int64_t row = 0; row < layout.rows; ++row) {
      for (std::int64_t k = 0; k < layout.depth; ++k) {
        if (k % size == 0) blocks.push_back({{}, {}, {}, found.scales[blocks.size()]});
        const std::size_t at = layout.index(matrix, row, k);
        blocks.back().weights.push_back(in[at]);
        blocks.back().importance.push_back(importance.empty() ? 1.0F
                                                              : importance[static_cast<std::size_t>(k)]);
        blocks.back().levels.push_back(found.levels[at]);
      }
    }
  }
  return blocks;
}

void expect_definition(const WeightLayout& layout, const Format& format, const std::vector<float>& in,
                       const std::vector<float>& importance) {
  const QuantizedWeights found = quantize_least_squares(layout, format, in, importance);
  const QuantizedWeights rule = quantize_weights(layout, format, in);
  const std::vector<Block> blocks = blocks_of(found, in, importance);
  ASSERT_EQ(blocks.size(), found.scales.size());
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const Block& block = blocks[b];
    const std::string where = to_string(format) + " block " + std::to_string(b);
    EXPECT_EQ(block.scale, best_slowly(format, block.weights, block.importance)) << where;
    for (std::size_t i = 0; i < block.levels.size(); ++i)
      ASSERT_EQ(block.levels[i], level_slowly(format, block.weights[i], block.scale)) << where << " " << i;
    EXPECT_LE(error_slowly(format, block.weights, block.importance, block.scale),
              error_slowly(format, block.weights, block.importance, rule.scales[b]))
        << where;
  }
}

std::vector<float> positive(std::size_t count, unsigned seed) {
  auto values = test::noise(count, seed, 1.0F);
  for (float& value : values) value = value * value + 0.01F;
  return values;
}

TEST(ScaleSearch, FindsWhatTheDefinitionFinds) {
  for (const DepthAxis axis : {DepthAxis::contiguous, DepthAxis::strided}) {
    const WeightLayout layout{2, 19, 150, axis};  // no multiple of a tile or a block
    const auto weights = test::noise(layout.elements(), 1, 0.05F);
    auto importance = positive(150, 2);
    for (const Format& format : parse_formats(kFormats)) {
      expect_definition(layout, format, weights, {});
      expect_definition(layout, format, weights, importance);
    }
    for (std::size_t k = 0; k < 150; k += 3) importance[k] = 0;
    std::fill_n(importance.begin() + 64, 32, 0.0F);
    for (const Format& format : parse_formats(kFormats))
      expect_definition(layout, format, weights, importance);
  }
}

TEST(ScaleSearch, EdgesAreWithinTheDefinition) {
  const WeightLayout layout{1, 10, 40, DepthAxis::contiguous};
  std::vector<float> weights(layout.elements());
  const auto fill = [&](std::int64_t row, auto&& value_of) {
    for (std::int64_t k = 0; k < 40; ++k) weights[layout.index(0, row, k)] = value_of(k);
  };
  fill(0, [](std::int64_t) { return 0.0F; });
  fill(1, [](std::int64_t) { return -0.3F; });
  fill(2, [](std::int64_t k) { return k % 2 == 0 ? 0.3F : -0.3F; });
  fill(3, [](std::int64_t k) { return static_cast<float>(k) * 1e-45F; });
  fill(4, [](std::int64_t k) { return static_cast<float>(k) * 1e-39F; });
  fill(5, [](std::int64_t k) { return static_cast<float>(k - 20) * 1.6e37F; });
  fill(6, [](std::int64_t k) { return k == 7 ? 1e30F : 1.0F; });
  fill(7, [](std::int64_t k) { return k == 39 ? -0.0F : 0.0F; });
  fill(8, [](std::int64_t k) { return static_cast<float>(k % 16 - 8); });
  fill(9, [](std::int64_t k) { return k == 7 ? -1e30F : 1.0F; });
  for (const Format& format : parse_formats(kFormats)) {
    expect_definition(layout, format, weights, {});
    expect_definition(layout, format, weights, positive(40, 4));
    expect_definition(layout, format, weights, std::vector<float>(40, 0.0F));
    expect_definition(layout, format, weights, std::vector<float>(40, 3e38F));
    auto without_seven = std::vector<float>(40, 1.0F);
    without_seven[7] = 0;  // a far weight of no importance decides nothing
    expect_definition(layout, format, weights, without_seven);
    const QuantizedWeights found = quantize_least_squares(layout, format, weights, without_seven);
    EXPECT_LE(std::abs(found.scales[static_cast<std::size_t>(6 * format.blocks(40))]), 0.3F);
  }
}

TEST(ScaleSearch, IsTheSameForEveryIsaAndNumberOfThreads) {
  for (const DepthAxis axis : {DepthAxis::contiguous, DepthAxis::strided}) {
#if defined(QVL_SANITIZED)
    const std::int64_t rows = 20;
#else
    const std::int64_t rows = 70;
#endif
    const WeightLayout layout{1, rows, 700, axis};
    const auto weights = test::noise(layout.elements(), 5, 0.05F);
    const auto importance = positive(700, 6);
    for (const Format& format : parse_formats(kFormats)) {
      const QuantizedWeights expected =
          quantize_least_squares(layout, format, weights, importance, Isa::scalar, 1);
      for (const Isa isa : supported_isas()) {
        for (const int threads : {1, 3}) {
          const QuantizedWeights found =
              quantize_least_squares(layout, format, weights, importance, isa, threads);
          EXPECT_EQ(found.scales, expected.scales) << to_string(format) << " " << name(isa);
          EXPECT_EQ(found.levels, expected.levels) << to_string(format) << " " << name(isa);
        }
      }
    }
  }
}

double squared_error(const QuantizedWeights& weights, const std::vector<float>& in) {
  std::vector<float> values(in.size());
  weights.dequantize(values);
  double sum = 0;
  for (std::size_t i = 0; i < in.size(); ++i) sum += std::pow(double{in[i]} - values[i], 2);
  return sum;
}

// 0.892 and 0.884 are what 4000 scales find where the grid has 29.
TEST(ScaleSearch, LowersTheErrorOfNormalWeights) {
  const WeightLayout layout{1, 32, 1024, DepthAxis::contiguous};
  const auto weights = test::noise(layout.elements(), 7, 0.05F);
  for (const auto& [name, most] :
       {std::pair{"int4:32", 0.895}, {"int4:128", 0.89}, {"int8", 0.97}, {"int8:32", 0.96}}) {
    const Format format = parse_format(name);
    const double ratio = squared_error(quantize_least_squares(layout, format, weights), weights) /
                         squared_error(quantize_weights(layout, format, weights), weights);
    EXPECT_LT(ratio, most) << name;
  }
}

std::string message_of(const std::vector<float>& weights, const std::vector<float>& importance) {
  try {
    (void)quantize_least_squares({1, 2, 4, DepthAxis::contiguous}, parse_format("int8"), weights, importance);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

TEST(ScaleSearch, SaysWhatItCannotTake) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<float> good(8, 1.0F);
  EXPECT_NE(message_of({1, 1, 1, 1, 1, 1, kNaN, 1}, {}).find("weight 2 of output channel 1 is NaN"),
            std::string::npos);
  for (const float bad : {kNaN, kInfinity, -1.0F}) {
    EXPECT_NE(message_of(good, {1, 1, bad, 1}).find("importance of input 2"), std::string::npos);
  }
  const WeightLayout layout{1, 2, 4, DepthAxis::contiguous};
  EXPECT_THROW((void)quantize_least_squares(layout, parse_format("int8"), good, std::vector<float>(3, 1.0F)),
               UsageError);
  EXPECT_THROW((void)quantize_least_squares(layout, parse_format("int8"), std::vector<float>(7)), UsageError);
  EXPECT_TRUE(quantize_least_squares({1, 0, 4}, parse_format("int8"), {}).levels.empty());
}

}  // namespace
}  // namespace qvl
