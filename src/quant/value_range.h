// The least and the greatest of many values.
#pragma once

#include <cstddef>
#include <limits>
#include <span>

#include "core/isa.h"

namespace qvl {

// Of what is not NaN; infinities count. A bound that is zero is +0. Nothing but NaN or nothing at all:
// empty().
struct ValueRange {
  float least = std::numeric_limits<float>::infinity();
  float most = -std::numeric_limits<float>::infinity();
  bool nan = false;  // there was one

  [[nodiscard]] bool empty() const noexcept { return least > most; }
  void merge(const ValueRange& other) noexcept;

  bool operator==(const ValueRange&) const = default;
};

// The same on every path.
[[nodiscard]] ValueRange min_max(std::span<const float> values, Isa isa = best_isa());

}  // namespace qvl
