// What a model says of one of its inputs or outputs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/shape.h"

namespace qvl {

// One dimension: fixed, or open and then perhaps with a name ("batch").
struct DimInfo {
  std::int64_t size = -1;  // -1: open
  std::string symbol;
  [[nodiscard]] bool is_fixed() const noexcept { return size >= 0; }
};

struct TensorInfo {
  std::string name;
  DType dtype = DType::f32;
  // Empty for a scalar and also where the model leaves the rank open: ONNX Runtime does not tell the two
  // apart.
  std::vector<DimInfo> dims;

  // Whether a tensor of this shape has the rank and the fixed dimensions. Always true when `dims` is empty.
  [[nodiscard]] bool admits(const Shape& shape) const noexcept;
};

// "F32 [batch, 3, ?]"
[[nodiscard]] std::string to_string(const TensorInfo& info);

}  // namespace qvl
