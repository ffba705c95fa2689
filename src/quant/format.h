// What a quantizable op (a MatMul, Gemm or Conv with a constant weight) is rounded to.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qvl {

// The op's other operand: kept as it is, or rounded to 8 unsigned bits with one scale and zero point for the
// tensor, found anew in each run (quant/activation.h) or once from calibration data (quant/range_calibrator.h).
enum class ActivationRounding { kept, dynamic_u8, static_u8 };

// As text:
//   int8            8 bits, one scale for an output channel
//   int8:B, int4:B  8 or 4 bits, one scale for B weights along the reduction axis;
//                   B: a power of two, 16 to 1048576
//   int8-dynamic    as int8, activations too, their range found in each run
//   int8-static     as int8, activations too, their range found by calibration
// The rules for the weights are in quant/fake_quantize.h.
struct Format {
  int bits = 8;            // of a weight
  std::int64_t block = 0;  // weights that share a scale; 0: all of an output channel
  ActivationRounding activations = ActivationRounding::kept;

  // Of the integers as they are stored, that is added to their levels: 0 (signed), or 128 or 8 (blocks,
  // unsigned).
  [[nodiscard]] int zero_point() const noexcept { return block == 0 ? 0 : 1 << (bits - 1); }
  // How many scales an output channel of `depth` weights has.
  [[nodiscard]] std::int64_t blocks(std::int64_t depth) const noexcept;

  auto operator<=>(const Format&) const = default;
};

// Throws UsageError, naming the text and the formats that exist.
[[nodiscard]] Format parse_format(std::string_view text);
// Names separated by commas, no blanks; at least one. A format named twice is a UsageError too.
[[nodiscard]] std::vector<Format> parse_formats(std::string_view text);
// parse_format() of it gives the format back.
[[nodiscard]] std::string to_string(const Format& format);

// Throws UsageError for a combination that has no name.
void check(const Format& format);

// Bits that a weight takes in a file, on average over an output channel of `depth` weights: its integer, its
// part of the scales (scale_bits each: 16 in f16 models, 32 in f32 models), and of what fills up the last
// block, which is stored whole (as ONNX Runtime's MatMulNBits does). Zero points are constant and not stored.
[[nodiscard]] double bits_per_weight(const Format& format, std::int64_t depth, int scale_bits = 16);

}  // namespace qvl
