#include "quant/activation.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "qvl/error.h"

namespace qvl {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kLargest = std::numeric_limits<float>::max();

AffineU8 of(float least, float most) { return AffineU8::of_range({least, most, false}); }

float plain(float x, const AffineU8& affine) {
  if (std::isnan(x)) return static_cast<float>(0 - affine.zero_point) * affine.scale;
  const double code = std::nearbyint(static_cast<double>(x / affine.scale)) + affine.zero_point;
  return static_cast<float>(static_cast<int>(std::fmin(255.0, std::fmax(0.0, code))) - affine.zero_point) *
         affine.scale;
}

std::vector<std::uint32_t> bits_of(std::span<const float> values) {
  std::vector<std::uint32_t> bits;
  for (const float value : values) bits.push_back(std::bit_cast<std::uint32_t>(value));
  return bits;
}

TEST(AffineU8, HoldsZeroAndTheRange) {
  EXPECT_EQ(of(0.0F, 255.0F), (AffineU8{1.0F, 0}));
  EXPECT_EQ(of(-255.0F, 0.0F), (AffineU8{1.0F, 255}));
  EXPECT_EQ(of(-128.0F, 127.0F), (AffineU8{1.0F, 128}));
  EXPECT_EQ(of(10.0F, 510.0F), (AffineU8{2.0F, 0}));     // widened downwards
  EXPECT_EQ(of(-510.0F, -1.0F), (AffineU8{2.0F, 255}));  // and upwards
  EXPECT_EQ(of(-0.5F, 254.5F), (AffineU8{1.0F, 0}));     // half to even
  EXPECT_EQ(of(-1.5F, 253.5F), (AffineU8{1.0F, 2}));
  EXPECT_EQ(of(0.0F, 0.0F), (AffineU8{1.0F, 0}));
  EXPECT_EQ(AffineU8::of_range({}), (AffineU8{1.0F, 0}));  // of no values
  EXPECT_EQ(of(0.0F, 1e-44F), (AffineU8{1.0F, 0}));        // a 255th of it is zero
}

TEST(AffineU8, RoundsTheQuotientHalfToEven) {
  std::mt19937 random(8);
  std::uniform_real_distribution<float> step(0.001F, 10.0F);
  for (int round = 0; round < 50000; ++round) {
    const float least = -(static_cast<float>(random() % 255) + 0.5F) * step(random);  // near a half, often
    const float most = 255.0F * (least / -(static_cast<float>(random() % 255) + 0.5F)) + least;
    if (most < 0) continue;
    const AffineU8 found = of(least, most);
    EXPECT_EQ(found.scale, (most - least) / 255.0F);
    EXPECT_EQ(found.zero_point, std::nearbyint(std::fmin(-least / found.scale, 255.0F)))
        << least << " " << most;
  }
}

TEST(AffineU8, RefusesRangesWithoutAScale) {
  EXPECT_THROW((void)of(0.0F, kInfinity), InputError);
  EXPECT_THROW((void)of(-kInfinity, 0.0F), InputError);
  EXPECT_THROW((void)of(-kLargest, kLargest), InputError);
  EXPECT_THROW((void)AffineU8::of_range({0.0F, 1.0F, true}), InputError);
  EXPECT_NO_THROW((void)of(0.0F, kLargest));
}

TEST(FakeQuantizeActivation, FollowsTheDefinitionOnEveryPath) {
  std::mt19937 random(11);
  std::normal_distribution<float> distribution(0.3F, 1.5F);
  for (const AffineU8& affine : {of(-1.0F, 3.0F), of(0.0F, 6.0F), of(-0.01F, 0.0F), of(-1e30F, 1e30F),
                                 of(0.0F, 1e-42F), AffineU8{1.0F, 128}, AffineU8{0.25F, 3}}) {
    std::vector<float> in;
    for (int i = 0; i < 1003; ++i) in.push_back(distribution(random));
    for (int i = 0; i < 1003; ++i) in.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random())));
    for (int i = -1200; i < 1200; ++i)
      in.push_back(static_cast<float>(i) * 0.25F * affine.scale);  // halves too
    for (const float value : {kInfinity, -kInfinity, kNaN, -kNaN, 0.0F, -0.0F, kLargest, -kLargest})
      in.push_back(value);
    std::vector<float> expected;
    for (const float value : in) expected.push_back(plain(value, affine));
    for (const Isa isa : supported_isas()) {
      std::vector<float> out(in.size());
      EXPECT_TRUE(fake_quantize_activation(in, affine, out, isa));
      EXPECT_EQ(bits_of(out), bits_of(expected)) << name(isa) << " " << affine.scale;
      std::vector<float> in_place = in;
      EXPECT_TRUE(fake_quantize_activation(in_place, affine, in_place, isa));
      EXPECT_EQ(bits_of(in_place), bits_of(expected)) << name(isa);
    }
  }
}

TEST(FakeQuantizeActivation, TellsWhetherThereWasNaN) {
  for (const Isa isa : supported_isas()) {
    for (std::size_t place = 0; place < 40; ++place) {
      std::vector<float> values(40, kInfinity);
      EXPECT_FALSE(fake_quantize_activation(values, of(-1.0F, 1.0F), values, isa));
      values[place] = -kNaN;
      EXPECT_TRUE(fake_quantize_activation(values, of(-1.0F, 1.0F), values, isa))
          << name(isa) << " " << place;
    }
    EXPECT_FALSE(fake_quantize_activation({}, {}, {}, isa));
  }
  std::vector<float> three(3);
  EXPECT_THROW(fake_quantize_activation(three, {}, std::span(three).first(2)), UsageError);
}

}  // namespace
}  // namespace qvl
