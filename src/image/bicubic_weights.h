// The weights of one direction of a bicubic resize. Internal to this layer.
#pragma once

#include <cstdint>
#include <vector>

namespace qvl {

// Output i is the sum over t < count[i] of input[first[i] + t] * weight[i * taps + t], plus a half, shifted
// right by kPrecisionBits and clamped to 0..255.
struct BicubicWeights {
  static constexpr int kPrecisionBits = 22;
  static constexpr std::int32_t kHalf = 1 << (kPrecisionBits - 1);
  // weight == high * 2^kLowBits + low with 0 <= low < 2^kLowBits: both fit the 16-bit multipliers of vector
  // units.
  static constexpr int kLowBits = 11;
  static constexpr std::int64_t kTapStep = 4;

  // From one output's weights to the next one's: a multiple of kTapStep, filled up with zeros.
  std::int64_t taps = 0;
  std::vector<std::int32_t> first;
  std::vector<std::int32_t> count;
  std::vector<std::int32_t> weight;
  std::vector<std::int16_t> high;
  std::vector<std::int16_t> low;
};

// Weights that take `input` pixels to `output` pixels (both positive), as Pillow computes them (Keys' cubic
// with a = -0.5, widened by the scale when shrinking; R. Keys, "Cubic convolution interpolation for digital
// image processing", 1981).
[[nodiscard]] BicubicWeights bicubic_weights(std::int64_t input, std::int64_t output);

}  // namespace qvl
