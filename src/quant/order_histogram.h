// Counts of values in bins of one relative width.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "quant/value_range.h"

namespace qvl {

// A bin holds the floats whose upper 16 bits are the same (sign, exponent, 7 bits of the mantissa): the
// greatest magnitude in it is less than 1 + 2^-7 times the least one. The bins cover every float, so they
// never change; counts are the same in whichever order the values come.
class OrderHistogram {
 public:
  OrderHistogram();

  // Values that are not NaN.
  void add(std::span<const float> values);
  void merge(const OrderHistogram& other);

  // The bounds when `cut` values are left out at either end: the outer edges of the bins that hold the next
  // ones. So at most `cut` values lie beyond each. There must be more than 2 * cut values.
  [[nodiscard]] ValueRange range_without(std::uint64_t cut) const;

 private:
  std::vector<std::uint64_t> counts_;  // by place in the order of floats
};

}  // namespace qvl
