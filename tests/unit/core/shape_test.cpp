#include "core/shape.h"

#include <gtest/gtest.h>

#include "core/tensor.h"
#include "qvl/error.h"

namespace qvl {
namespace {

TEST(Shape, CountsElementsWithoutOverflow) {
  EXPECT_EQ(element_count(Shape{2, 3, 4}), 24);
  EXPECT_EQ(element_count(Shape{}), 1);
  EXPECT_EQ(element_count(Shape{std::int64_t{1} << 40, 0, std::int64_t{1} << 40}), 0);
  EXPECT_EQ(element_count(Shape{-1, 2}), std::nullopt);
  EXPECT_EQ(element_count(Shape{std::int64_t{1} << 40, std::int64_t{1} << 40}), std::nullopt);
  EXPECT_EQ(to_string(Shape{1, 2}), "[1, 2]");
}

TEST(Tensor, ChecksSizes) {
  const std::vector<float> values{1, 2, 3};
  EXPECT_EQ(Tensor::of<float>(DType::f32, {3}, values).as<float>()[2], 3.0F);
  EXPECT_THROW((void)Tensor::of<float>(DType::f32, {4}, values), InputError);
  EXPECT_THROW((void)Tensor(DType::f32, {3}).as<double>(), InputError);
  EXPECT_THROW(Tensor(DType::f32, {std::int64_t{1} << 62}), InputError);
}

TEST(DType, NamesRoundTrip) {
  for (const DType d : {DType::f64, DType::f32, DType::f16, DType::bf16, DType::i64, DType::i32, DType::i16,
                        DType::i8, DType::u64, DType::u32, DType::u16, DType::u8, DType::boolean}) {
    EXPECT_EQ(dtype_from_name(name(d)), d);
  }
  EXPECT_EQ(dtype_from_name("F8"), std::nullopt);
}

TEST(Shape, WidensToWhatHoldsAnother) {
  const auto widened = [](Shape whole, const Shape& shape) {
    return widen(whole, shape) ? to_string(whole) : std::string("apart");
  };
  EXPECT_EQ(widened({2, 3}, {3}), "[2, 3]");
  EXPECT_EQ(widened({3}, {2, 1}), "[2, 3]");
  EXPECT_EQ(widened({}, {4, 1, 5}), "[4, 1, 5]");
  EXPECT_EQ(widened({4, 1, 5}, {3, 1}), "[4, 3, 5]");
  EXPECT_EQ(widened({1}, {0}), "[0]");
  EXPECT_EQ(widened({2, 3}, {2}), "apart");
}

TEST(Shape, StridesAreZeroWhereAnOperandBroadcasts) {
  using Strides = std::vector<std::size_t>;
  EXPECT_EQ(broadcast_strides(Shape{2, 3}, {2, 3}), (Strides{3, 1}));
  EXPECT_EQ(broadcast_strides(Shape{3}, {2, 3}), (Strides{0, 1}));
  EXPECT_EQ(broadcast_strides(Shape{2, 1, 4}, {5, 2, 3, 4}), (Strides{0, 4, 0, 1}));
  EXPECT_EQ(broadcast_strides(Shape{}, {2}), (Strides{0}));
}

}  // namespace
}  // namespace qvl
