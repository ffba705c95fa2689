#include "quant/activation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "quant/loop_hint.h"
#include "quant/round_half_even.h"
#include "qvl/error.h"

namespace qvl {
namespace {

QVL_ALWAYS_INLINE bool round_all(const float* in, AffineU8 affine, float* out, std::size_t count) {
  const float scale = affine.scale;
  const auto least = static_cast<float>(-affine.zero_point);
  const auto most = static_cast<float>(255 - affine.zero_point);
  std::uint32_t largest = 0;
  QVL_SAME_ELEMENT_ONLY
  for (std::size_t i = 0; i < count; ++i) {
    largest = std::max(largest, std::bit_cast<std::uint32_t>(in[i]) & 0x7FFFFFFFU);
    float level = in[i] / scale;
    level = level > least ? level : least;  // NaN is not greater
    level = level < most ? level : most;
    out[i] = static_cast<float>(round_half_even(level)) * scale;
  }
  return largest > 0x7F800000U;
}

using Kernel = bool (*)(const float*, AffineU8, float*, std::size_t);
bool round_scalar(const float* in, AffineU8 affine, float* out, std::size_t count) {
  return round_all(in, affine, out, count);
}
#if QVL_X86
QVL_TARGET_AVX2 bool round_avx2(const float* in, AffineU8 affine, float* out, std::size_t count) {
  return round_all(in, affine, out, count);
}
QVL_TARGET_AVX512 bool round_avx512(const float* in, AffineU8 affine, float* out, std::size_t count) {
  return round_all(in, affine, out, count);
}
constexpr std::array<Kernel, 3> kKernels{round_scalar, round_avx2, round_avx512};
#else
constexpr std::array<Kernel, 3> kKernels{round_scalar, round_scalar, round_scalar};
#endif

}  // namespace

AffineU8 AffineU8::of_range(const ValueRange& range) {
  const float least = std::min(range.least, 0.0F);
  const float most = std::max(range.most, 0.0F);
  const float width = most - least;
  if (range.nan || !std::isfinite(width)) {
    throw InputError(fmt::format("activations from {} to {}{}: only finite ranges have a scale", range.least,
                                 range.most, range.nan ? " with NaN" : ""));
  }
  const float scale = width / 255.0F;
  if (scale == 0.0F) return {};
  const float zero_point = std::clamp(0.0F - least / scale, 0.0F, 255.0F);
  return {scale, static_cast<std::uint8_t>(round_half_even(zero_point))};
}

bool fake_quantize_activation(std::span<const float> in, const AffineU8& affine, std::span<float> out,
                              Isa isa) {
  if (in.size() != out.size()) {
    throw UsageError(fmt::format("{} activations to quantize into a space for {}", in.size(), out.size()));
  }
  return kKernels[static_cast<std::size_t>(isa)](in.data(), affine, out.data(), in.size());
}

}  // namespace qvl
