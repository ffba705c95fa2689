// ONNX operators of qvl's own.
//
// Attention (domain "qvl", version 1): softmax(q k scale + mask) v as in core/attention.h, on the thread that
// runs it. All f32.
//   inputs     q [..., S, d]; k transposed [..., d, L]; v [..., L, e]; mask, optional, broadcastable to
//              [..., S, L]
//   attributes scale (float); zero_for_nan (int, 1: weights that are NaN count as 0); steps (int, 1: by ONNX
//              Runtime's own steps, to the bit; then scale is 1 and zero_for_nan 0); all required
//   output     [..., S, e]
// Shapes that do not go together end the run with an InputError.
#pragma once

struct OrtSessionOptions;

namespace qvl {

// Makes them known to the sessions that are made with these options. Throws as check() does.
void add_own_operators(OrtSessionOptions& options);

}  // namespace qvl
