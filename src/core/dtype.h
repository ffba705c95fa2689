// Element types of tensors, as named in safetensors headers.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace qvl {

enum class DType { f64, f32, f16, bf16, i64, i32, i16, i8, u64, u32, u16, u8, boolean };

// Bytes of one element.
[[nodiscard]] std::size_t size_bytes(DType dtype) noexcept;

// "F32", "BF16", "I64", "BOOL", … (safetensors' names).
[[nodiscard]] std::string_view name(DType dtype) noexcept;
[[nodiscard]] std::optional<DType> dtype_from_name(std::string_view name) noexcept;

// ONNX's number for it (TensorProto.DataType of onnx.proto), which is ONNX Runtime's, too.
[[nodiscard]] int onnx_number(DType dtype) noexcept;
// Nothing for those that are not ours: strings, complex numbers, 4 and 8 bit floats, …
[[nodiscard]] std::optional<DType> dtype_from_onnx(int number) noexcept;

[[nodiscard]] bool is_floating(DType dtype) noexcept;

}  // namespace qvl
