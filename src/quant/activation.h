// Activations as a quantized model would have them: rounded to 8 unsigned bits and back.
#pragma once

#include <cstdint>
#include <span>

#include "core/isa.h"
#include "quant/value_range.h"

namespace qvl {

// Value = (code - zero_point) x scale, code from 0 to 255.
struct AffineU8 {
  float scale = 1.0F;  // finite and above zero
  std::uint8_t zero_point = 0;

  // For a range, widened to hold 0 (the rule of ONNX's DynamicQuantizeLinear, to the bit as ONNX Runtime
  // computes it, onnxruntime/core/util/qmath.h): scale = (most - least) / 255, or 1 when they are equal;
  // zero_point = -least / scale, rounded half to even, 0 to 255; all in f32. An empty range is that of zeros.
  // Where ONNX Runtime finds a scale of zero (most - least below 2^-142), it is 1. Throws InputError when a
  // bound is infinite, when most - least is, and when the range is that of values with NaN: there is no scale
  // for them.
  static AffineU8 of_range(const ValueRange& range);

  bool operator==(const AffineU8&) const = default;
};

// What QuantizeLinear and DequantizeLinear give: code = x / scale, rounded half to even, + zero_point, kept
// within 0 to 255 (infinities too). NaN gets code 0, as in ONNX Runtime; returns whether there was any. in
// and out: one size, else UsageError; they may be one array, but not overlap otherwise. The result is the
// same to the bit for every isa.
bool fake_quantize_activation(std::span<const float> in, const AffineU8& affine, std::span<float> out,
                              Isa isa = best_isa());

}  // namespace qvl
