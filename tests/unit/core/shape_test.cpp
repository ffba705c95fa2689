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

}  // namespace
}  // namespace qvl
