// Weights as a quantized model would have them: rounded to small integers and back.
#pragma once

#include <span>

#include "core/isa.h"
#include "quant/format.h"
#include "quant/weight_layout.h"

namespace qvl {

// Writes level x scale for each weight, in f32 (IEEE 754 single, nothing fused), where weights that share a
// scale are an output channel (int8, int8-dynamic, int8-static) or each `block` of its weights from the first
// on, the last one being shorter where they do not divide it (int8:B, int4:B).
//
//   int8:    scale = max |w| / 127;               level = w / scale, rounded half to even,
//                                                 kept within -127 .. 127
//   int8:B:  scale = (w of largest |w|) / -128;   level = round(w x (1 / scale) + 128),
//                                                 kept within 0 .. 255, - 128
//   int4:B:  scale = (w of largest |w|) / -8;     level = round(w x (1 / scale) + 8),
//                                                 kept within 0 .. 15, - 8
//
// For blocks round() is C's roundf, half away from zero, after the sum was rounded to f32; of w and -w of the
// largest magnitude, the negative one counts. This is ONNX Runtime's rule for MatMulNBits without zero points
// (onnxruntime/core/mlas/lib/q4_dq.cpp, BlockwiseQuantizer and range2scale, on machines whose compiler does
// not fuse its product and sum: x86-64), but that the scale is 1 where nothing can be divided by it: for
// zeros, for int8 when max |w| / 127 is less than the least subnormal, for blocks when 1 / scale is infinite
// (|scale| <= 2^-128).
//
// The scales stay in f32; a model that stores them in f16 rounds them once more. A weight beyond 3.4028e38
// / 1.000001 may become infinite (int8 only).
//
// in and out: layout.elements() each, both as the weight lies; they may be one array, but not overlap
// otherwise. The result is the same to the bit for every isa and number of threads. threads: 0 for one per
// processor.
//
// Throws UsageError for a format without a name and for sizes that do not fit, InputError when a weight is
// NaN or infinite, naming the first one; `out` holds anything then, but that weight and its output channel or
// block.
void fake_quantize(const WeightLayout& layout, const Format& format, std::span<const float> in,
                   std::span<float> out, Isa isa = best_isa(), int threads = 0);

}  // namespace qvl
