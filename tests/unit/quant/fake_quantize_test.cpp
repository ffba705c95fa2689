#include "quant/fake_quantize.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "quant/quantized_weights.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kLeast = std::numeric_limits<float>::denorm_min();

struct Plain {
  std::vector<float> values;
  std::vector<int> levels;    // as the weight lies
  std::vector<float> scales;  // [matrices, rows, blocks]
};

// The definitions, one weight after the other.
Plain plain(const WeightLayout& layout, const Format& format, const std::vector<float>& in) {
  Plain result{std::vector<float>(in.size()), std::vector<int>(in.size()), {}};
  const std::int64_t block = format.block == 0 ? layout.depth : format.block;
  const int half = format.bits == 8 ? 128 : 8;
  for (std::int64_t m = 0; m < layout.matrices; ++m) {
    for (std::int64_t r = 0; r < layout.rows; ++r) {
      for (std::int64_t start = 0; start < layout.depth; start += block) {
        const std::int64_t end = std::min(start + block, layout.depth);
        float least = std::numeric_limits<float>::max();
        float most = -least;
        for (std::int64_t k = start; k < end; ++k) {
          least = std::min(least, in[layout.index(m, r, k)]);
          most = std::max(most, in[layout.index(m, r, k)]);
        }
        float scale = format.block == 0
                          ? std::max(std::fabs(least), std::fabs(most)) / 127.0F
                          : (std::fabs(most) > std::fabs(least) ? most : least) / static_cast<float>(-half);
        if (format.block == 0 ? scale == 0.0F : std::isinf(1.0F / scale)) scale = 1.0F;
        for (std::int64_t k = start; k < end; ++k) {
          const float w = in[layout.index(m, r, k)];
          int level = 0;
          if (format.block == 0) {
            level = std::min(127, std::max(-127, static_cast<int>(std::nearbyint(w / scale))));
          } else {
            const float reciprocal = 1.0F / scale;
            const float product = w * reciprocal;
            level = static_cast<int>(std::roundf(product + static_cast<float>(half)));
            level = std::min(2 * half - 1, std::max(0, level)) - half;
          }
          result.levels[layout.index(m, r, k)] = level;
          result.values[layout.index(m, r, k)] = static_cast<float>(level) * scale;
        }
        result.scales.push_back(scale);
      }
    }
  }
  return result;
}

std::vector<std::uint32_t> bits_of(std::span<const float> values) {
  std::vector<std::uint32_t> bits(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) bits[i] = std::bit_cast<std::uint32_t>(values[i]);
  return bits;
}

// Everything that can be asked for, on every path, against the plain definitions.
void expect_plain(const WeightLayout& layout, const std::vector<float>& in, std::string_view formats) {
  for (const Format& format : parse_formats(formats)) {
    const Plain expected = plain(layout, format, in);
    for (const Isa isa : supported_isas()) {
      SCOPED_TRACE(testing::Message() << to_string(format) << " " << name(isa) << " " << layout.matrices
                                      << "x" << layout.rows << "x" << layout.depth
                                      << (layout.axis == DepthAxis::strided ? " strided" : " contiguous"));
      std::vector<float> out(in.size());
      fake_quantize(layout, format, in, out, isa, 1);
      ASSERT_EQ(bits_of(out), bits_of(expected.values));
      std::vector<float> in_place = in;
      fake_quantize(layout, format, in_place, in_place, isa, 3);
      ASSERT_EQ(bits_of(in_place), bits_of(expected.values));
      const QuantizedWeights quantized = quantize_weights(layout, format, in, isa, 2);
      ASSERT_EQ(std::vector<int>(quantized.levels.begin(), quantized.levels.end()), expected.levels);
      ASSERT_EQ(bits_of(quantized.scales), bits_of(expected.scales));
      std::vector<float> again(in.size());
      quantized.dequantize(again);
      ASSERT_EQ(bits_of(again), bits_of(expected.values));
    }
  }
}

constexpr std::string_view kEveryRule =
    "int8,int8:16,int8:32,int8:64,int8:128,int4:16,int4:32,int4:64,int4:256";

std::vector<WeightLayout> both_ways(std::int64_t matrices, std::int64_t rows, std::int64_t depth) {
  return {{matrices, rows, depth, DepthAxis::contiguous}, {matrices, rows, depth, DepthAxis::strided}};
}

std::vector<float> normal(std::size_t count, float deviation = 0.02F) {
  std::mt19937 random(static_cast<std::uint32_t>(count));
  std::normal_distribution<float> distribution(0.0F, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = distribution(random);
  return values;
}

TEST(FakeQuantize, FollowsTheDefinitionsAtAnySize) {
  for (const auto& [matrices, rows, depth] : std::vector<std::array<std::int64_t, 3>>{{1, 1, 1},
                                                                                      {1, 1, 17},
                                                                                      {1, 17, 1},
                                                                                      {1, 3, 31},
                                                                                      {1, 7, 64},
                                                                                      {1, 65, 33},
                                                                                      {3, 5, 47},
                                                                                      {2, 129, 100},
                                                                                      {1, 9, 600}}) {
    for (const WeightLayout& layout : both_ways(matrices, rows, depth))
      expect_plain(layout, normal(layout.elements()), kEveryRule);
  }
}

TEST(FakeQuantize, FollowsTheDefinitionsWhereWorkIsCut) {
  const auto expect = [](const WeightLayout& layout, std::string_view formats) {
    expect_plain(layout, normal(layout.elements()), formats);
  };
  expect({1, 300, 260, DepthAxis::contiguous}, "int8,int4:32");        // between rows
  expect({1, 2, 66001, DepthAxis::contiguous}, "int8:32,int4:65536");  // between blocks
  expect({2, 2100, 40, DepthAxis::strided}, "int8,int8:16");           // between columns, in short ones
  expect({2, 70, 700, DepthAxis::strided}, "int8,int4:1024");          // in long ones, which take two passes
  expect({1, 2100, 520, DepthAxis::strided}, "int8");
}

TEST(FakeQuantize, EveryMagnitudeOfFiniteNumbers) {
  std::mt19937 random(5);
  for (const WeightLayout& layout : both_ways(1, 64, 96)) {
    std::vector<float> in(layout.elements());
    // The exponents of a row are near each other, those of all rows are everywhere.
    for (std::int64_t r = 0; r < layout.rows; ++r) {
      for (std::int64_t k = 0; k < layout.depth; ++k) {
        const std::uint32_t exponent =
            std::min<std::uint32_t>(254, static_cast<std::uint32_t>(r) * 4 + random() % 4);
        in[layout.index(0, r, k)] =
            std::bit_cast<float>((static_cast<std::uint32_t>(random()) & 0x807FFFFFU) | (exponent << 23U));
      }
    }
    expect_plain(layout, in, kEveryRule);
  }
}

TEST(FakeQuantize, ZerosSubnormalsAndTheLargest) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  const std::vector<std::vector<float>> rows{
      {0.0F, 0.0F, 0.0F, 0.0F},           {-0.0F, 0.0F, -0.0F, 0.0F},
      {kLeast, -kLeast, 0.0F, kLeast},    {kLeast * 63, 1e-40F, -1e-41F, 0},
      {kLeast * 64, kLeast, 0, 0},        {kLeast * 190, kLeast * 3, -kLeast, 0},
      {0x1p-125F, 0x1p-130F, 0, 0},       {0x1.000002p-125F, -0x1p-126F, 0, 0},
      {0x1p-121F, 0x1p-122F, -0x1p-126F}, {-0x1.000002p-121F, 0x1p-122F, 0, 1e-39F},
      {kLargest, -kLargest, 1.0F, 0},     {1e-30F, -1e-30F, kLargest, 0}};
  const auto count = static_cast<std::int64_t>(rows.size());
  for (const WeightLayout& layout : both_ways(1, count, 4)) {
    std::vector<float> in(layout.elements());
    for (std::int64_t r = 0; r < count; ++r) {
      for (std::size_t k = 0; k < rows[r].size(); ++k)
        in[layout.index(0, r, static_cast<std::int64_t>(k))] = rows[r][k];
    }
    expect_plain(layout, in, kEveryRule);
  }
  const QuantizedWeights zero =
      quantize_weights({1, 1, 4, DepthAxis::contiguous}, parse_format("int4:16"), std::vector<float>(4));
  EXPECT_EQ(zero.scales, std::vector<float>{1.0F});
  EXPECT_EQ(zero.levels, std::vector<std::int8_t>(4));
}

TEST(FakeQuantize, HalvesAndTiesOfMagnitude) {
  // Every half step of a scale that is a power of two, and its neighbours.
  std::vector<float> halves{-8.0F};
  for (int i = -16; i <= 16; ++i) {
    const float half = static_cast<float>(i) / 2.0F;
    halves.insert(halves.end(), {half, std::nextafter(half, -9.0F), std::nextafter(half, 9.0F)});
  }
  std::erase_if(halves, [](float value) { return std::fabs(value) > 8.0F; });
  const auto depth = static_cast<std::int64_t>(halves.size());
  for (const WeightLayout& layout : both_ways(1, 1, depth))
    expect_plain(layout, halves, "int8,int4:128,int8:128");

  // The negative one of two extremes becomes -8, so that the positive one is cut to 7.
  const QuantizedWeights tie = quantize_weights({1, 1, 3, DepthAxis::contiguous}, parse_format("int4:16"),
                                                std::vector<float>{4.0F, -4.0F, 1.0F});
  EXPECT_EQ(tie.levels, (std::vector<std::int8_t>{7, -8, 2}));
  EXPECT_EQ(tie.scales, std::vector<float>{0.5F});
  const QuantizedWeights positive = quantize_weights(
      {1, 1, 3, DepthAxis::contiguous}, parse_format("int8:16"), std::vector<float>{4.0F, -3.0F, 1.0F});
  EXPECT_EQ(positive.levels, (std::vector<std::int8_t>{-128, 96, -32}));
  EXPECT_EQ(positive.scales, std::vector<float>{-0.03125F});
  // Half to even for channels, half up (before the sign of the scale) for blocks.
  const QuantizedWeights channel = quantize_weights({1, 1, 4, DepthAxis::contiguous}, parse_format("int8"),
                                                    std::vector<float>{127.0F, 0.5F, 1.5F, -2.5F});
  EXPECT_EQ(channel.levels, (std::vector<std::int8_t>{127, 0, 2, -2}));
  const QuantizedWeights block = quantize_weights({1, 1, 4, DepthAxis::contiguous}, parse_format("int8:16"),
                                                  std::vector<float>{-128.0F, 0.5F, 1.5F, -2.5F});
  EXPECT_EQ(block.levels, (std::vector<std::int8_t>{-128, 1, 2, -2}));
}

std::string refusal(const WeightLayout& layout, const Format& format, std::vector<float> in, Isa isa) {
  try {
    fake_quantize(layout, format, in, in, isa, 2);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(FakeQuantize, NamesTheFirstWeightThatIsNotFinite) {
  for (const Format& format : parse_formats("int8,int8:32,int4:16")) {
    for (const Isa isa : supported_isas()) {
      for (const WeightLayout& layout : both_ways(2, 37, 41)) {
        std::vector<float> in = normal(layout.elements());
        in[layout.index(1, 30, 40)] = kNaN;
        EXPECT_EQ(refusal(layout, format, in, isa),
                  "weight 40 of output channel 30 of matrix 1 is NaN; only finite weights can be quantized");
        in[layout.index(1, 30, 39)] = -kInfinity;
        in[layout.index(1, 36, 40)] = kInfinity;
        EXPECT_EQ(
            refusal(layout, format, in, isa),
            "weight 39 of output channel 30 of matrix 1 is infinite; only finite weights can be quantized");
        EXPECT_THROW((void)quantize_weights(layout, format, in, isa), InputError);
      }
    }
  }
  for (const Isa isa : supported_isas()) {
    const WeightLayout long_columns{2, 3, 700, DepthAxis::strided};
    std::vector<float> in = normal(long_columns.elements());
    in[long_columns.index(1, 2, 5)] = kInfinity;
    in[long_columns.index(1, 0, 6)] = kNaN;
    EXPECT_EQ(refusal(long_columns, parse_format("int8"), in, isa),
              "weight 5 of output channel 2 of matrix 1 is infinite; only finite weights can be quantized");
  }
  const std::string one_matrix =
      refusal({1, 1, 2, DepthAxis::contiguous}, parse_format("int8"), {1.0F, kInfinity}, Isa::scalar);
  EXPECT_EQ(one_matrix, "weight 1 of output channel 0 is infinite; only finite weights can be quantized");
}

TEST(FakeQuantize, ActivationsDoNotChangeWeights) {
  const WeightLayout layout{1, 5, 40, DepthAxis::strided};
  const std::vector<float> in = normal(layout.elements());
  std::vector<float> expected(in.size());
  fake_quantize(layout, parse_format("int8"), in, expected);
  for (const Format& format : parse_formats("int8-dynamic,int8-static")) {
    std::vector<float> out(in.size());
    fake_quantize(layout, format, in, out);
    EXPECT_EQ(out, expected);
  }
}

TEST(FakeQuantize, RefusesWhatDoesNotFit) {
  std::vector<float> six(6);
  std::vector<float> five(5);
  const WeightLayout layout{1, 2, 3, DepthAxis::contiguous};
  EXPECT_THROW(fake_quantize(layout, parse_format("int8"), five, six), UsageError);
  EXPECT_THROW(fake_quantize(layout, parse_format("int8"), six, five), UsageError);
  EXPECT_THROW(fake_quantize(layout, Format{4, 0, ActivationRounding::kept}, six, six), UsageError);
  EXPECT_THROW((void)quantize_weights(layout, parse_format("int8"), five), UsageError);
  EXPECT_THROW(quantize_weights(layout, parse_format("int8"), six).dequantize(five), UsageError);
  EXPECT_NO_THROW(fake_quantize({1, 0, 3, DepthAxis::strided}, parse_format("int4:32"), {}, {}));
}

}  // namespace
}  // namespace qvl
