// The operators whose constant weights can be quantized.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace qvl {

inline constexpr std::array<std::string_view, 3> kUnitOps{"MatMul", "Gemm", "Conv"};

// Of the standard's operators.
[[nodiscard]] inline bool is_unit_op(std::string_view op) {
  return std::ranges::find(kUnitOps, op) != kUnitOps.end();
}

}  // namespace qvl
