// Conversion of weights between floating types, with what it cost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/dtype.h"
#include "core/isa.h"

namespace qvl {

struct ConversionStats {
  std::uint64_t overflowed = 0;  // finite values beyond f16's range, stored as ±65504
  std::uint64_t subnormal = 0;   // non-zero values that became subnormal or zero in f16
  std::uint64_t not_finite = 0;  // infinities and NaNs of the source, kept as they are
  double max_abs_error = 0.0;    // over the finite values, overflowed ones included

  void merge(const ConversionStats& other) noexcept;
  friend bool operator==(const ConversionStats&, const ConversionStats&) = default;
};

// Converts source (from) into destination (to); both hold the same number of elements, at any alignment.
// from: F32, F16 or BF16; to: F32 or F16. Round half to even; saturates instead of making infinities (see
// ConversionStats). Throws UsageError for other types.
ConversionStats convert(DType from, std::span<const std::byte> source, DType to,
                        std::span<std::byte> destination, Isa isa = best_isa());

}  // namespace qvl
