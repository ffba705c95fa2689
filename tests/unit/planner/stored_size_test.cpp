#include "planner/stored_size.h"

#include <gtest/gtest.h>

namespace qvl {
namespace {

StoredWeight matrix(std::int64_t depth, std::int64_t rows, DType stored, std::int64_t matrices = 1) {
  const WeightLayout layout{matrices, rows, depth, DepthAxis::strided};
  return {"MatMul", layout, stored, layout.elements() * (stored == DType::f16 ? 2 : 4)};
}

TEST(StoredSize, KeptIsWhatTheModelStores) {
  EXPECT_EQ(stored_bytes(matrix(64, 10, DType::f16), {}), 1280U);
  EXPECT_EQ(stored_bytes(matrix(64, 10, DType::f32), {}), 2560U);
}

TEST(StoredSize, BlocksAreStoredWholeWithAScaleOfTheModelsWidth) {
  // 70 weights are three blocks of 32: 16 bytes and a scale each.
  EXPECT_EQ(stored_bytes(matrix(70, 10, DType::f16), parse_format("int4:32")), 10U * 3 * (16 + 2));
  EXPECT_EQ(stored_bytes(matrix(70, 10, DType::f32), parse_format("int4:32")), 10U * 3 * (16 + 4));
  EXPECT_EQ(stored_bytes(matrix(128, 10, DType::f32), parse_format("int8:64")), 10U * 2 * (64 + 4));
}

TEST(StoredSize, LongBlocksRepeatTheirScales) {
  // int8 has one scale for 600 weights; in the file a block has 256 at most, here as long as fills up the
  // least.
  EXPECT_EQ(stored_bytes(matrix(600, 10, DType::f16), parse_format("int8")), 10U * 19 * (32 + 2));
  EXPECT_EQ(stored_bytes(matrix(600, 10, DType::f16), parse_format("int4:1024")), 10U * 5 * (64 + 2));
}

TEST(StoredSize, RoundedActivationsTakeAByteAWeightAndAScaleAChannel) {
  EXPECT_EQ(stored_bytes(matrix(70, 10, DType::f16), parse_format("int8-dynamic")), 700U + 40);
  EXPECT_EQ(stored_bytes(matrix(70, 10, DType::f32, 3), parse_format("int8-static")), 3U * (700 + 40));
}

TEST(StoredSize, ConvAndStackedMatricesArePackedWithoutFilling) {
  StoredWeight conv{"Conv", WeightLayout::of_conv({5, 3, 3, 3}), DType::f32, 540};
  EXPECT_EQ(stored_bytes(conv, parse_format("int8")), 135U + 20);
  EXPECT_EQ(stored_bytes(conv, parse_format("int4:16")), 68U + 5 * 2 * 4);  // 27 weights: two blocks
  EXPECT_EQ(stored_bytes(matrix(32, 4, DType::f32, 2), parse_format("int4:32")), 128U + 2 * 4 * 4);
}

}  // namespace
}  // namespace qvl
