// Where tensors will lie in a safetensors file, before there are any bytes.
// The format: https://github.com/huggingface/safetensors#format
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/safetensors_header.h"
#include "core/dtype.h"
#include "core/shape.h"

namespace qvl {

// A tensor to be written.
struct TensorSpec {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;

  // Throws UsageError when the shape is impossible.
  [[nodiscard]] std::uint64_t size_bytes() const;
};

struct SafetensorsLayout {
  std::string header;                // what the file begins with: the length field and the JSON text
  std::vector<TensorEntry> entries;  // in the order of their bytes
  std::uint64_t size_bytes = 0;      // of the whole file
};

// Widest elements first, then by name, whatever the order given, so that every tensor is aligned to its
// elements and the same tensors give the same file. Throws UsageError for a name that occurs twice or is
// "__metadata__", for an impossible shape, and for names or metadata that are not UTF-8.
[[nodiscard]] SafetensorsLayout lay_out_safetensors(std::span<const TensorSpec> tensors,
                                                    const std::map<std::string, std::string>& metadata = {});

}  // namespace qvl
