// ONNX operators of qvl's own: domain "qvl", version 1, f32, on the thread that runs them.
//
// Attention: softmax(q k scale + mask) v as in kernels/attention.h.
//   inputs     q [..., S, d]; k transposed [..., d, L]; v [..., L, e]; mask, optional, broadcastable to
//              [..., S, L]
//   attributes scale (float); zero_for_nan (int, 1: weights that are NaN count as 0); steps (int, 1: by ONNX
//              Runtime's own steps, to the bit; then scale is 1 and zero_for_nan 0); all required
//   output     [..., S, e]
// Rotary: x cos + rotate_half(x) sin as in kernels/rotary.h, with the bits of the single steps.
//   inputs     x; cos and sin, broadcastable
//   attributes axis (int, of x); middle (int: where the second half of the axis begins; 0: at half of it);
//              both required
//   output     the shape that the three broadcast to
// Shapes that do not go together end the run with an InputError.
#pragma once

struct OrtSessionOptions;

namespace qvl {

// Makes them known to the sessions that are made with these options. Throws as check() does.
void add_own_operators(OrtSessionOptions& options);

}  // namespace qvl
