#include "synth/noise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "core/half.h"
#include "core/sha256.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr DType kTypes[] = {DType::bf16, DType::f16, DType::f32};

std::vector<std::byte> bytes_of(const Noise& noise, DType dtype, std::uint64_t first, std::size_t count,
                                Isa isa = best_isa()) {
  std::vector<std::byte> bytes(count * size_bytes(dtype));
  noise.fill(dtype, first, bytes, isa);
  return bytes;
}

std::vector<float> floats_of(const Noise& noise, std::uint64_t first, std::size_t count) {
  std::vector<float> values(count);
  noise.fill(DType::f32, first, std::as_writable_bytes(std::span(values)));
  return values;
}

TEST(Noise, EveryIsaMakesTheSameBits) {
  const Noise noise(1, "a", 0.5F, 0.3F);
  for (const DType dtype : kTypes) {
    const auto expected = bytes_of(noise, dtype, 12345, 70001, Isa::scalar);
    for (const Isa isa : supported_isas())
      EXPECT_EQ(bytes_of(noise, dtype, 12345, 70001, isa), expected) << name(isa) << name(dtype);
  }
}

// The same on every machine and in every release: checkpoints are told by their preset and seed.
TEST(Noise, TheBitsNeverChange) {
  Sha256 hash;
  for (const DType dtype : kTypes) hash.update(bytes_of(Noise(7, "x.weight", 0.0F, 0.02F), dtype, 3, 5000));
  EXPECT_EQ(hash.hex(), "7a253813826b998480767b018b88bfa536631202e65718e653df785c0c184f96");
}

TEST(Noise, AnyPartCanBeMadeAlone) {
  const Noise noise(3, "b", 0.0F, 1.0F);
  for (const std::uint64_t start : {std::uint64_t{0}, (std::uint64_t{1} << 32U) - 1500}) {
    const auto whole = bytes_of(noise, DType::bf16, start, 3000);
    for (const std::size_t first : {0U, 1U, 1023U, 1499U, 1500U, 2999U}) {
      const auto part = bytes_of(noise, DType::bf16, start + first, 3000 - first);
      EXPECT_EQ(std::memcmp(part.data(), whole.data() + 2 * first, part.size()), 0) << first;
    }
  }
  // Beyond 2^32 elements it does not begin again.
  EXPECT_NE(floats_of(noise, 0, 100), floats_of(noise, std::uint64_t{1} << 32U, 100));
}

TEST(Noise, NarrowTypesAreTheSameValuesRounded) {
  const Noise noise(4, "c", 1.0F, 0.1F);
  const std::vector<float> values = floats_of(noise, 0, 5000);
  const auto half = bytes_of(noise, DType::f16, 0, 5000);
  const auto bfloat = bytes_of(noise, DType::bf16, 0, 5000);
  for (std::size_t i = 0; i < values.size(); ++i) {
    Half h;
    BFloat16 b;
    std::memcpy(&h, half.data() + 2 * i, 2);
    std::memcpy(&b, bfloat.data() + 2 * i, 2);
    ASSERT_EQ(h, to_half(values[i]));
    ASSERT_EQ(b, to_bfloat16(values[i]));
  }
}

// Within 5 standard errors of what the distribution has.
TEST(Noise, MomentsAreThoseOfTheDistribution) {
  constexpr std::size_t kCount = std::size_t{1} << 22U;
  const double error = 5 / std::sqrt(static_cast<double>(kCount));
  const std::vector<float> z =
      floats_of(Noise(0, "model.layers.0.mlp.up_proj.weight", 0.0F, 1.0F), 0, kCount);
  const std::vector<float> other =
      floats_of(Noise(0, "model.layers.1.mlp.up_proj.weight", 0.0F, 1.0F), 0, kCount);
  const std::vector<float> seeded =
      floats_of(Noise(1, "model.layers.0.mlp.up_proj.weight", 0.0F, 1.0F), 0, kCount);
  double mean = 0;
  double square = 0;
  double fourth = 0;
  double next = 0;
  double row = 0;
  double name = 0;
  double seed = 0;
  for (std::size_t i = 0; i < kCount; ++i) {
    const double v = z[i];
    mean += v;
    square += v * v;
    fourth += v * v * v * v;
    next += v * z[(i + 1) % kCount];
    row += v * z[(i + 2048) % kCount];
    name += v * other[i];
    seed += v * seeded[i];
    ASSERT_LE(std::abs(v), 3.4642);  // 2 sqrt(3)
  }
  EXPECT_NEAR(mean / kCount, 0.0, error);
  EXPECT_NEAR(square / kCount, 1.0, error * std::sqrt(1.7));
  EXPECT_NEAR(fourth / kCount, 2.7, 10 * error);
  for (const double correlation : {next, row, name, seed}) EXPECT_NEAR(correlation / kCount, 0.0, error);
}

TEST(Noise, MeanAndDeviationAreAsAsked) {
  double sum = 0;
  double square = 0;
  constexpr std::size_t kCount = 1000000;
  for (const float v : floats_of(Noise(9, "d", 3.0F, 0.25F), 0, kCount)) {
    sum += v;
    square += (v - 3.0) * (v - 3.0);
  }
  EXPECT_NEAR(sum / kCount, 3.0, 0.002);
  EXPECT_NEAR(std::sqrt(square / kCount), 0.25, 0.001);
}

TEST(Noise, RefusesOtherTypes) {
  std::vector<std::byte> bytes(8);
  EXPECT_THROW(Noise(0, "e", 0.0F, 1.0F).fill(DType::i8, 0, bytes), UsageError);
}

}  // namespace
}  // namespace qvl
