#include "core/convert.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "core/half.h"
#include "qvl/error.h"

namespace qvl {
namespace {

template <class T>
std::vector<T> random_bits(std::size_t count) {
  std::mt19937 random(7);
  std::vector<T> values(count);
  for (T& v : values)
    v = std::bit_cast<T>(
        static_cast<std::conditional_t<sizeof(T) == 2, std::uint16_t, std::uint32_t>>(random()));
  return values;
}

TEST(Convert, EveryIsaWritesWhatTheScalarPathWrites) {
  const auto check = [](DType from, auto source, DType to) {
    const auto bytes = std::as_bytes(std::span(source));
    std::vector<std::byte> expected(source.size() * size_bytes(to));
    const ConversionStats stats = convert(from, bytes, to, expected, Isa::scalar);
    for (const Isa isa : supported_isas()) {
      std::vector<std::byte> found(expected.size());
      EXPECT_EQ(convert(from, bytes, to, found, isa), stats) << name(isa);
      EXPECT_EQ(found, expected) << name(isa);
    }
  };
  check(DType::f32, random_bits<std::uint32_t>(70001), DType::f16);
  check(DType::bf16, random_bits<std::uint16_t>(70001), DType::f16);
  check(DType::bf16, random_bits<std::uint16_t>(70001), DType::f32);
  check(DType::f16, random_bits<std::uint16_t>(70001), DType::f32);
}

TEST(Convert, CountsWhatItCost) {
  const std::vector<float> source{1.0F, 70000.0F, -1e9F, 1e-5F, 1e-12F, 0.0F, INFINITY, 1.0F / 3.0F};
  std::vector<Half> half(source.size());
  const ConversionStats stats = convert(DType::f32, std::as_bytes(std::span(source)), DType::f16,
                                        std::as_writable_bytes(std::span(half)));
  EXPECT_EQ(stats.overflowed, 2U);
  EXPECT_EQ(stats.subnormal, 2U);
  EXPECT_EQ(stats.not_finite, 1U);
  EXPECT_EQ(stats.max_abs_error, 1e9F - 65504.0F);  // measured in float
  EXPECT_EQ(to_float(half[1]), 65504.0F);
  EXPECT_EQ(to_float(half[2]), -65504.0F);
  EXPECT_EQ(half[6].bits, 0x7c00U);
}

TEST(Convert, CountsWhatIsNotFiniteOnEveryWay) {
  const std::vector<std::uint16_t> half{0x7c00, 0x3c00, 0x7e00, 0xfc00};    // inf, 1, NaN, -inf
  const std::vector<std::uint16_t> bfloat{0x7f80, 0x3f80, 0x7fc0, 0xff80};  // the same
  const std::vector<float> single{INFINITY, 1.0F, NAN, -INFINITY};
  std::vector<std::byte> out(16);
  const auto count = [&](DType from, auto bytes, DType to) {
    return convert(from, bytes, to, std::span(out).first(4 * size_bytes(to))).not_finite;
  };
  EXPECT_EQ(count(DType::f16, std::as_bytes(std::span(half)), DType::f32), 3U);
  EXPECT_EQ(count(DType::f16, std::as_bytes(std::span(half)), DType::f16), 3U);
  EXPECT_EQ(count(DType::bf16, std::as_bytes(std::span(bfloat)), DType::f32), 3U);
  EXPECT_EQ(count(DType::bf16, std::as_bytes(std::span(bfloat)), DType::f16), 3U);
  EXPECT_EQ(count(DType::f32, std::as_bytes(std::span(single)), DType::f32), 3U);
  EXPECT_EQ(count(DType::f32, std::as_bytes(std::span(single)), DType::f16), 3U);
}

TEST(Convert, TakesUnalignedBytes) {
  std::vector<std::byte> raw(1 + 3 * 4);
  const std::vector<float> values{0.5F, -2.0F, 8.0F};
  std::memcpy(raw.data() + 1, values.data(), 12);
  std::vector<Half> half(3);
  convert(DType::f32, std::span(raw).subspan(1), DType::f16, std::as_writable_bytes(std::span(half)));
  EXPECT_EQ(to_float(half[1]), -2.0F);
}

TEST(Convert, RefusesOtherTypes) {
  std::vector<std::byte> two(8);
  EXPECT_THROW(convert(DType::i64, two, DType::f16, two), UsageError);
}

}  // namespace
}  // namespace qvl
