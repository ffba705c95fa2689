// The header of a safetensors file: which tensors it holds and where.
// The format: https://github.com/huggingface/safetensors#format
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/dtype.h"
#include "core/shape.h"

namespace qvl {

struct TensorEntry {
  std::string name;  // as it stands in the file
  DType dtype = DType::f32;
  Shape shape;
  // Where its bytes lie, counted from the beginning of the file. end - begin is elements x size_bytes(dtype).
  std::uint64_t begin_bytes = 0;
  std::uint64_t end_bytes = 0;

  [[nodiscard]] std::uint64_t size_bytes() const noexcept { return end_bytes - begin_bytes; }
};

struct SafetensorsHeader {
  std::vector<TensorEntry> entries;  // in the order of their bytes in the file
  std::map<std::string, std::string> metadata;
  std::uint64_t data_begin_bytes = 0;  // where the tensors begin in the file
};

// Parses the header at the beginning of `file_bytes`, the whole file, of which nothing beyond the header is
// read. The tensors must cover the rest of the file exactly, without holes and overlaps, as the reference
// library demands. Throws InputError for anything else, for a name that occurs twice, and for an element type
// that DType does not have (the message names tensor and type); `source` names the file in it.
[[nodiscard]] SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file_bytes,
                                                         std::string_view source);

}  // namespace qvl
