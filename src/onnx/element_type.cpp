#include "onnx/element_type.h"

#include <fmt/format.h>

namespace qvl {

bool is_half(int onnx_type) noexcept {
  return onnx_type == onnx::TensorProto::FLOAT16 || onnx_type == onnx::TensorProto::BFLOAT16;
}

ElementType element_type(int onnx_type) {
  if (const auto dtype = dtype_from_onnx(onnx_type))
    return {std::string(name(*dtype)), 8 * size_bytes(*dtype)};
  // Numbers of onnx.proto that older classes do not know by name.
  if (onnx_type >= 17 && onnx_type <= 20) return {"F8", 8};
  if (onnx_type == 21) return {"U4", 4};
  if (onnx_type == 22) return {"I4", 4};
  if (onnx_type == 23) return {"F4", 4};
  if (onnx_type == onnx::TensorProto::STRING) return {"STRING", 0};
  return {fmt::format("ONNX_TYPE_{}", onnx_type), 0};
}

}  // namespace qvl
