#include <bit>
#include <cstdint>
#include <cstring>

#include "kernels/attention_kernels.h"

#define QVL_LANES_TARGET
#include "kernels/attention_steps.h"

namespace qvl {
namespace {

// Plain C++, one lane after the other.
struct Lanes {
  static constexpr std::size_t kWidth = 4;
  static constexpr std::size_t kTileRows = 4;
  struct V {
    float lane[kWidth];
  };

  template <class Function>
  QVL_STEP static V each(Function function) {
    V result;
    for (std::size_t i = 0; i < kWidth; ++i) result.lane[i] = function(i);
    return result;
  }

  QVL_STEP static V load(const float* p) {
    V x;
    std::memcpy(x.lane, p, sizeof(x));
    return x;
  }
  QVL_STEP static void store(float* p, const V& x) { std::memcpy(p, x.lane, sizeof(x)); }
  QVL_STEP static V part(const float* p, std::size_t n, float fill) {
    return each([&](std::size_t i) { return i < n ? p[i] : fill; });
  }
  QVL_STEP static V all(float x) {
    return each([&](std::size_t) { return x; });
  }
  QVL_STEP static V fma(const V& a, const V& b, const V& c) {
    return each([&](std::size_t i) { return a.lane[i] * b.lane[i] + c.lane[i]; });
  }
  QVL_STEP static V add(const V& a, const V& b) {
    return each([&](std::size_t i) { return a.lane[i] + b.lane[i]; });
  }
  QVL_STEP static V sub(const V& a, const V& b) {
    return each([&](std::size_t i) { return a.lane[i] - b.lane[i]; });
  }
  QVL_STEP static V greater(const V& a, const V& b) {
    return each([&](std::size_t i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
  }
  // n is at least -126 where x is not below the floor, so that the power is no subnormal number.
  QVL_STEP static V scale_by_exp2(const V& p, const V& t, const V&, const V& x) {
    return each([&](std::size_t i) {
      const std::uint32_t exponent = (std::bit_cast<std::uint32_t>(t.lane[i]) + 127U) << 23U;
      return x.lane[i] < kExpFloor ? 0.0F : p.lane[i] * std::bit_cast<float>(exponent);
    });
  }
};

}  // namespace

constexpr AttentionKernels kAttentionScalar = kernels_of<Lanes>();

}  // namespace qvl
