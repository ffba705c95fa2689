// softmax(q kT scale + mask) v, without ever holding all scores.
#pragma once

#include <optional>
#include <span>

#include "core/isa.h"
#include "core/shape.h"

namespace qvl {

// f32, dense, row-major; owned elsewhere.
struct AttentionOperand {
  Shape shape;
  const float* values = nullptr;
};

// q [..., S, d], k_transposed [..., d, L], v [..., L, e], mask broadcastable to the scores [..., S, L].
// Leading dimensions broadcast as those of ONNX's MatMul; where the mask has more rows or columns than the
// scores, the scores broadcast, too, as they do in ONNX's Add.
struct AttentionInputs {
  AttentionOperand q;
  AttentionOperand k_transposed;
  AttentionOperand v;
  std::optional<AttentionOperand> mask;
  float scale = 1.0F;
  // Weights that are NaN count as 0. Taken only with finite values, else NaN stays.
  bool zero_for_nan = false;
};

// Of the result, [..., S, e]. Throws InputError when the shapes do not go together.
[[nodiscard]] Shape attention_shape(const AttentionInputs& inputs);

// Writes as many floats as attention_shape() has elements, on this thread alone. Memory of its own: the keys
// and values of one head once more, and what fits the second-level cache.
//
// Blocks of keys against a running maximum and sum, as in Milakov and Gimelshein, "Online normalizer
// calculation for softmax", 2018, and Dao et al., "FlashAttention", 2022. exp is right to 1 ulp and 0 below
// ln(2^-126). Keys whose weight is 0 for all of some rows, by the mask and the bound |q| |k| of their
// products, are skipped, which changes no bit. As with ONNX's Softmax, a row all of whose scores are minus
// infinity or one of whose scores is NaN or plus infinity becomes NaN, and one of equal scores, however low,
// the mean. Without keys: 0.
//
// The bits depend on the instruction set, and on nothing else but the inputs.
void attention(const AttentionInputs& inputs, std::span<float> out, Isa isa = best_isa());

}  // namespace qvl
