// Tensors by name that several experiments share.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include "core/tensor.h"
#include "runtime/output_tensor.h"

namespace qvl {

// A view and what keeps its bytes alive. Cheap to copy.
struct HeldTensor {
  TensorView view;
  std::shared_ptr<const void> owner;

  static HeldTensor of(Tensor tensor) {
    auto owned = std::make_shared<const Tensor>(std::move(tensor));
    TensorView view = owned->view();
    return {std::move(view), std::move(owned)};
  }
  static HeldTensor of(OutputTensor tensor) {
    auto owned = std::make_shared<const OutputTensor>(std::move(tensor));
    TensorView view = owned->view();
    return {std::move(view), std::move(owned)};
  }
};

using Values = std::unordered_map<std::string, HeldTensor>;

[[nodiscard]] inline std::uint64_t total_bytes(const Values& values) {
  std::uint64_t bytes = 0;
  for (const auto& [name, value] : values) bytes += value.view.bytes.size();
  return bytes;
}

}  // namespace qvl
