#include "onnx/element_type.h"

#include <gtest/gtest.h>

namespace qvl {
namespace {

TEST(ElementType, NumbersAreThoseOfOnnx) {
  for (int number = 0; number < 30; ++number) {
    const auto dtype = dtype_from_onnx(number);
    if (!dtype) continue;
    EXPECT_EQ(onnx_number(*dtype), number);
    EXPECT_EQ(element_type(number).name, name(*dtype));
    EXPECT_EQ(element_type(number).bits, 8 * size_bytes(*dtype));
  }
  using Tensor = onnx::TensorProto;
  EXPECT_EQ(onnx_dtype(DType::f64), Tensor::DOUBLE);
  EXPECT_EQ(onnx_dtype(DType::f32), Tensor::FLOAT);
  EXPECT_EQ(onnx_dtype(DType::f16), Tensor::FLOAT16);
  EXPECT_EQ(onnx_dtype(DType::bf16), Tensor::BFLOAT16);
  EXPECT_EQ(onnx_dtype(DType::i64), Tensor::INT64);
  EXPECT_EQ(onnx_dtype(DType::i32), Tensor::INT32);
  EXPECT_EQ(onnx_dtype(DType::i16), Tensor::INT16);
  EXPECT_EQ(onnx_dtype(DType::i8), Tensor::INT8);
  EXPECT_EQ(onnx_dtype(DType::u64), Tensor::UINT64);
  EXPECT_EQ(onnx_dtype(DType::u32), Tensor::UINT32);
  EXPECT_EQ(onnx_dtype(DType::u16), Tensor::UINT16);
  EXPECT_EQ(onnx_dtype(DType::u8), Tensor::UINT8);
  EXPECT_EQ(onnx_dtype(DType::boolean), Tensor::BOOL);
}

TEST(ElementType, NamesWhatIsNotOurs) {
  EXPECT_EQ(element_type(onnx::TensorProto::STRING).name, "STRING");
  EXPECT_EQ(element_type(17).name, "F8");
  EXPECT_EQ(element_type(22).name, "I4");
  EXPECT_EQ(element_type(22).bits, 4U);
  EXPECT_EQ(element_type(onnx::TensorProto::COMPLEX64).name, "ONNX_TYPE_14");
  EXPECT_TRUE(is_half(onnx::TensorProto::BFLOAT16));
  EXPECT_FALSE(is_half(onnx::TensorProto::FLOAT));
}

}  // namespace
}  // namespace qvl
