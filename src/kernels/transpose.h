// Transposition of a matrix in memory, for weights on their way to the data file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace qvl {

// source [rows, columns], the rows `stride` elements apart -> destination [columns, rows], both row-major;
// elements of 2 or 4 bytes. Throws UsageError for other element sizes or when the spaces do not fit.
void transpose(std::span<const std::byte> source, std::int64_t stride, std::span<std::byte> destination,
               std::int64_t rows, std::int64_t columns, std::size_t element_bytes);

}  // namespace qvl
