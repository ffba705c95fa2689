// Element types of ONNX Runtime (numbers of ONNXTensorElementDataType) and ours.
#pragma once

#include <optional>
#include <string>

#include "core/dtype.h"

namespace qvl {

[[nodiscard]] int onnx_element_type(DType dtype) noexcept;
// Nothing for those that are not ours: strings, complex numbers, 4 and 8 bit floats, …
[[nodiscard]] std::optional<DType> dtype_of_onnx(int element_type) noexcept;

}  // namespace qvl
