// A tensor that a run gave back.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "core/tensor.h"
#include "runtime/ort_handle.h"

namespace qvl {

// Owns the memory that ONNX Runtime wrote the output to: large outputs are not copied. Row-major, in host
// memory. May outlive the Session. Read-only, because a model may give out one of its constants. Move-only; a
// moved-from one may only be destroyed or assigned to.
class OutputTensor {
 public:
  // Takes a tensor of a supported element type; `owner` is kept alive as long as this.
  OutputTensor(OrtHandle<OrtValue> value, std::shared_ptr<const void> owner);

  [[nodiscard]] DType dtype() const noexcept { return view_.dtype; }
  [[nodiscard]] const Shape& shape() const noexcept { return view_.shape; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return view_.bytes; }
  [[nodiscard]] const TensorView& view() const noexcept { return view_; }

  // The elements as T; sizeof(T) must be size_bytes(dtype()), else UsageError.
  template <class T>
  [[nodiscard]] std::span<const T> as() const {
    check_element_size(sizeof(T));
    return {reinterpret_cast<const T*>(view_.bytes.data()), view_.bytes.size() / sizeof(T)};
  }

  [[nodiscard]] Tensor copy() const;

 private:
  void check_element_size(std::size_t size) const;

  std::shared_ptr<const void> owner_;  // released last
  OrtHandle<OrtValue> value_;
  TensorView view_;
};

}  // namespace qvl
