#include "core/dtype.h"

#include <array>
#include <utility>

namespace qvl {
namespace {

struct Row {
  DType dtype;
  std::string_view name;
  std::size_t size_bytes;
  int onnx;
};

constexpr std::array kRows{
    Row{DType::f64, "F64", 8, 11},    Row{DType::f32, "F32", 4, 1}, Row{DType::f16, "F16", 2, 10},
    Row{DType::bf16, "BF16", 2, 16},  Row{DType::i64, "I64", 8, 7}, Row{DType::i32, "I32", 4, 6},
    Row{DType::i16, "I16", 2, 5},     Row{DType::i8, "I8", 1, 3},   Row{DType::u64, "U64", 8, 13},
    Row{DType::u32, "U32", 4, 12},    Row{DType::u16, "U16", 2, 4}, Row{DType::u8, "U8", 1, 2},
    Row{DType::boolean, "BOOL", 1, 9}};

const Row& row(DType dtype) noexcept { return kRows[static_cast<std::size_t>(dtype)]; }

}  // namespace

std::size_t size_bytes(DType dtype) noexcept { return row(dtype).size_bytes; }

std::string_view name(DType dtype) noexcept { return row(dtype).name; }

std::optional<DType> dtype_from_name(std::string_view name) noexcept {
  for (const Row& r : kRows) {
    if (r.name == name) return r.dtype;
  }
  return std::nullopt;
}

int onnx_number(DType dtype) noexcept { return row(dtype).onnx; }

std::optional<DType> dtype_from_onnx(int number) noexcept {
  for (const Row& r : kRows) {
    if (r.onnx == number) return r.dtype;
  }
  return std::nullopt;
}

bool is_floating(DType dtype) noexcept {
  return dtype == DType::f64 || dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
}

}  // namespace qvl
