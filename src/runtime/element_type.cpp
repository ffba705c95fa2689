#include "runtime/element_type.h"

#include <onnxruntime_c_api.h>

#include <array>

namespace qvl {
namespace {

struct Row {
  DType dtype;
  ONNXTensorElementDataType onnx;
};

constexpr std::array kRows{Row{DType::f64, ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE},
                           Row{DType::f32, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},
                           Row{DType::f16, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16},
                           Row{DType::bf16, ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16},
                           Row{DType::i64, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64},
                           Row{DType::i32, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32},
                           Row{DType::i16, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16},
                           Row{DType::i8, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8},
                           Row{DType::u64, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64},
                           Row{DType::u32, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32},
                           Row{DType::u16, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16},
                           Row{DType::u8, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8},
                           Row{DType::boolean, ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL}};

}  // namespace

int onnx_element_type(DType dtype) noexcept {
  for (const Row& row : kRows) {
    if (row.dtype == dtype) return row.onnx;
  }
  return ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
}

std::optional<DType> dtype_of_onnx(int element_type) noexcept {
  for (const Row& row : kRows) {
    if (row.onnx == element_type) return row.dtype;
  }
  return std::nullopt;
}

}  // namespace qvl
