// The header of a .npy file: element type, shape and order of one NumPy array.
// The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/dtype.h"
#include "core/shape.h"

namespace qvl {

struct NpyHeader {
  DType dtype = DType::f32;
  Shape shape;
  bool fortran_order = false;      // the first index runs fastest in the file
  std::uint64_t header_bytes = 0;  // what stands before the elements
  std::uint64_t data_bytes = 0;    // elements x size_bytes(dtype)
};

// Bytes that say how long the header is.
inline constexpr std::size_t kNpyPrefixBytes = 12;

// How many bytes there are before the elements, told from the first kNpyPrefixBytes of the file (or all of
// it, when it is shorter). Throws InputError when it is no .npy file of the versions 1.0, 2.0 and 3.0, or its
// header is longer than 1 MiB; `source` names the file in the message.
[[nodiscard]] std::uint64_t npy_header_bytes(std::span<const std::byte> prefix, std::string_view source);

// Parses a whole header (that many bytes). Element types that DType has, in little-endian order, are read.
// Throws InputError that says what was found and what would be right for anything else: big-endian numbers,
// Python objects, structured and complex types, texts, dates; shapes that are impossible or have more than 32
// dimensions.
[[nodiscard]] NpyHeader parse_npy_header(std::span<const std::byte> header, std::string_view source);

}  // namespace qvl
