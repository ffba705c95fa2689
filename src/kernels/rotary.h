// x cos + rotate_half(x) sin in one go.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/attention.h"

namespace qvl {

// cos and sin broadcast with x, as in ONNX's Mul. rotate_half(x) is x's second half along an axis of size d,
// negated, and then its first one; the second half begins at `middle` (0: at d / 2; from d on there is none).
// Source: rotate_half and apply_rotary_pos_emb of transformers.
struct RotaryInputs {
  AttentionOperand x;
  AttentionOperand cos;
  AttentionOperand sin;
  std::int64_t middle = 0;
  std::int64_t axis = -1;  // of x; negative ones count from the last
};

// Of the result. Throws InputError when the shapes do not go together.
[[nodiscard]] Shape rotary_shape(const RotaryInputs& inputs);

// Writes as many floats as rotary_shape() has elements, on this thread. Each is rounded as Mul, Mul and Add
// round it, whatever the instruction set.
void rotary(const RotaryInputs& inputs, std::span<float> out);

}  // namespace qvl
