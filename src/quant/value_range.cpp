#include "quant/value_range.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "quant/float_order.h"

namespace qvl {
namespace {

struct OrderRange {
  std::int32_t least = INT32_MAX;
  std::int32_t most = INT32_MIN;
};

// Integers, as vector code of their least and greatest needs no assumption about NaN and the sign of zero.
QVL_ALWAYS_INLINE OrderRange find_range(const float* values, std::size_t count) {
  OrderRange range;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int32_t place = float_order::place_of(values[i]);
    range.least = std::min(range.least, place);
    range.most = std::max(range.most, place);
  }
  return range;
}

using Kernel = OrderRange (*)(const float*, std::size_t);
OrderRange find_scalar(const float* values, std::size_t count) { return find_range(values, count); }
#if QVL_X86
QVL_TARGET_AVX2 OrderRange find_avx2(const float* values, std::size_t count) {
  return find_range(values, count);
}
QVL_TARGET_AVX512 OrderRange find_avx512(const float* values, std::size_t count) {
  return find_range(values, count);
}
constexpr std::array<Kernel, 3> kKernels{find_scalar, find_avx2, find_avx512};
#else
constexpr std::array<Kernel, 3> kKernels{find_scalar, find_scalar, find_scalar};
#endif

ValueRange range_without_nan(std::span<const float> values) {
  ValueRange range;
  for (const float value : values) {
    if (std::isnan(value)) {
      range.nan = true;
      continue;
    }
    range.least = std::min(range.least, value + 0.0F);  // -0 becomes +0
    range.most = std::max(range.most, value + 0.0F);
  }
  return range;
}

}  // namespace

void ValueRange::merge(const ValueRange& other) noexcept {
  least = std::min(least, other.least);
  most = std::max(most, other.most);
  nan = nan || other.nan;
}

ValueRange min_max(std::span<const float> values, Isa isa) {
  if (values.empty()) return {};
  const OrderRange found = kKernels[static_cast<std::size_t>(isa)](values.data(), values.size());
  // NaN lies beyond the infinities, on the side of its sign bit.
  const bool nan =
      found.least < float_order::place_of(-INFINITY) || found.most > float_order::place_of(INFINITY);
  if (nan) return range_without_nan(values);
  return {float_order::value_at(found.least) + 0.0F, float_order::value_at(found.most) + 0.0F, false};
}

}  // namespace qvl
