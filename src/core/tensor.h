// Dense row-major tensors: a view of bytes owned elsewhere, and one that owns its bytes.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/dtype.h"
#include "core/shape.h"

namespace qvl {

// Does not own; the bytes must outlive it. bytes.size() == elements x size_bytes(dtype). The address may be
// unaligned when the view points into a file.
struct TensorView {
  DType dtype = DType::f32;
  Shape shape;
  std::span<const std::byte> bytes;
};

class Tensor {
 public:
  Tensor() = default;
  // Zero-filled. Throws InputError when the shape is impossible.
  Tensor(DType dtype, Shape shape);

  // Copies `values`; their number must be that of the shape.
  template <class T>
  static Tensor of(DType dtype, Shape shape, std::span<const T> values) {
    Tensor tensor(dtype, std::move(shape));
    tensor.copy_from(std::as_bytes(values));
    return tensor;
  }

  [[nodiscard]] DType dtype() const noexcept { return dtype_; }
  [[nodiscard]] const Shape& shape() const noexcept { return shape_; }
  [[nodiscard]] std::int64_t count() const noexcept;
  [[nodiscard]] std::span<std::byte> bytes() noexcept { return bytes_; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }
  [[nodiscard]] TensorView view() const { return {dtype_, shape_, bytes_}; }

  // The elements as T; sizeof(T) must be size_bytes(dtype()).
  template <class T>
  [[nodiscard]] std::span<T> as() {
    check_element_size(sizeof(T));
    return {reinterpret_cast<T*>(bytes_.data()), bytes_.size() / sizeof(T)};
  }
  template <class T>
  [[nodiscard]] std::span<const T> as() const {
    check_element_size(sizeof(T));
    return {reinterpret_cast<const T*>(bytes_.data()), bytes_.size() / sizeof(T)};
  }

 private:
  void copy_from(std::span<const std::byte> source);
  void check_element_size(std::size_t size) const;

  DType dtype_ = DType::f32;
  Shape shape_{0};
  std::vector<std::byte> bytes_;
};

}  // namespace qvl
