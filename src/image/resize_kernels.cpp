#include "image/resize_kernels.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "kernels/lanes.h"

// What the others must equal, and the only one that takes rows of any width.
namespace qvl::scalar {
namespace {

std::uint8_t to_byte(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> BicubicWeights::kPrecisionBits, 0, 255));
}

void resize_rows(const RowPass& pass) {
  const BicubicWeights& w = *pass.weights;
  for (std::int64_t y = 0; y < pass.rows; ++y) {
    const std::uint8_t* in = pass.in + y * pass.in_width * 3;
    std::uint8_t* out = pass.out + y * pass.out_width * 3;
    for (std::int64_t x = 0; x < pass.out_width; ++x, out += 3) {
      const std::uint8_t* pixel = in + std::int64_t{w.first[static_cast<std::size_t>(x)]} * 3;
      const std::int32_t* weight = w.weight.data() + x * w.taps;
      std::array<std::int32_t, 3> sum{BicubicWeights::kHalf, BicubicWeights::kHalf, BicubicWeights::kHalf};
      for (std::int32_t t = 0; t < w.count[static_cast<std::size_t>(x)]; ++t, pixel += 3) {
        sum[0] += pixel[0] * weight[t];
        sum[1] += pixel[1] * weight[t];
        sum[2] += pixel[2] * weight[t];
      }
      std::transform(sum.begin(), sum.end(), out, to_byte);
    }
  }
}

void resize_columns(const ColumnPass& pass) {
  const BicubicWeights& w = *pass.weights;
  for (std::int64_t y = 0; y < pass.out_rows; ++y) {
    const std::uint8_t* in = pass.in + std::int64_t{w.first[static_cast<std::size_t>(y)]} * pass.row_bytes;
    const std::int32_t* weight = w.weight.data() + y * w.taps;
    const std::int32_t count = w.count[static_cast<std::size_t>(y)];
    std::uint8_t* out = pass.out + y * pass.row_bytes;
    for (std::int64_t x = 0; x < pass.row_bytes; ++x) {
      std::int32_t sum = BicubicWeights::kHalf;
      for (std::int32_t t = 0; t < count; ++t) sum += in[x + t * pass.row_bytes] * weight[t];
      out[x] = to_byte(sum);
    }
  }
}

constexpr ResizeKernels kResize{resize_rows, resize_columns, 0};

}  // namespace
}  // namespace qvl::scalar

#if QVL_X86
namespace qvl::avx2 {
constexpr ResizeKernels kNarrower = scalar::kResize;
}
#define QVL_ISA avx2
#include "image/resize_steps.h"
#undef QVL_ISA

namespace qvl::avx512 {
constexpr ResizeKernels kNarrower = avx2::kResize;
}
#define QVL_ISA avx512
#include "image/resize_steps.h"
#undef QVL_ISA
#endif

namespace qvl {

const ResizeKernels& resize_kernels([[maybe_unused]] Isa isa) {
#if QVL_X86
  if (isa == Isa::avx512) return avx512::kResize;
  if (isa == Isa::avx2) return avx2::kResize;
#endif
  return scalar::kResize;
}

}  // namespace qvl
