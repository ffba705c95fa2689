#include "quant/weight_layout.h"

#include <gtest/gtest.h>

#include "qvl/error.h"

namespace qvl {
namespace {

constexpr auto kSide = DepthAxis::contiguous;
constexpr auto kAcross = DepthAxis::strided;

TEST(WeightLayout, OfEachOp) {
  EXPECT_EQ(WeightLayout::of_matmul({5, 3}), (WeightLayout{1, 3, 5, kAcross}));
  EXPECT_EQ(WeightLayout::of_matmul({2, 7, 5, 3}), (WeightLayout{14, 3, 5, kAcross}));
  EXPECT_EQ(WeightLayout::of_matmul({5}), (WeightLayout{1, 1, 5, kSide}));
  EXPECT_EQ(WeightLayout::of_gemm({5, 3}, false), (WeightLayout{1, 3, 5, kAcross}));
  EXPECT_EQ(WeightLayout::of_gemm({3, 5}, true), (WeightLayout{1, 3, 5, kSide}));
  EXPECT_EQ(WeightLayout::of_conv({8, 3, 2, 14, 14}), (WeightLayout{1, 8, 3 * 2 * 14 * 14, kSide}));
}

TEST(WeightLayout, PlacesWeights) {
  EXPECT_EQ((WeightLayout{2, 3, 5, kSide}.index(1, 2, 4)), 29U);
  EXPECT_EQ((WeightLayout{2, 3, 5, kSide}.index(0, 1, 2)), 7U);
  EXPECT_EQ((WeightLayout{2, 3, 5, kAcross}.index(0, 1, 2)), 7U);
  EXPECT_EQ((WeightLayout{2, 3, 5, kAcross}.index(1, 0, 2)), 21U);
}

TEST(WeightLayout, RefusesShapesThatTheOpCannotHave) {
  EXPECT_THROW((void)WeightLayout::of_matmul({}), InputError);
  EXPECT_THROW((void)WeightLayout::of_gemm({5}, false), InputError);
  EXPECT_THROW((void)WeightLayout::of_gemm({1, 2, 3}, true), InputError);
  EXPECT_THROW((void)WeightLayout::of_conv({4, 4}), InputError);
  EXPECT_THROW((void)WeightLayout::of_matmul({-1, 3}), InputError);
  EXPECT_THROW((void)WeightLayout::of_gemm({-1, 3}, true), InputError);
  EXPECT_THROW((void)WeightLayout::of_conv({std::int64_t{1} << 40, 2, std::int64_t{1} << 40}), InputError);
  EXPECT_THROW((void)(WeightLayout{std::int64_t{1} << 40, std::int64_t{1} << 40, 2, kSide}.elements()),
               InputError);
  EXPECT_EQ((WeightLayout{2, 0, 5, kSide}.elements()), 0U);
}

}  // namespace
}  // namespace qvl
