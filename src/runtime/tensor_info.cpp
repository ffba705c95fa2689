#include "runtime/tensor_info.h"

#include <fmt/format.h>

namespace qvl {

bool TensorInfo::admits(const Shape& shape) const noexcept {
  if (dims.empty()) return true;
  if (shape.size() != dims.size()) return false;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i].is_fixed() && dims[i].size != shape[i]) return false;
  }
  return true;
}

std::string to_string(const TensorInfo& info) {
  std::string text = fmt::format("{} [", name(info.dtype));
  for (std::size_t i = 0; i < info.dims.size(); ++i) {
    const DimInfo& dim = info.dims[i];
    if (i > 0) text += ", ";
    text += dim.is_fixed() ? std::to_string(dim.size) : dim.symbol.empty() ? "?" : dim.symbol;
  }
  return text + "]";
}

}  // namespace qvl
