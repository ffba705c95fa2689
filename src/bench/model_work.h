// How much arithmetic one run of a reference artifact is, told from the config.
#pragma once

#include <cstdint>

#include "checkpoint/model_config.h"
#include "core/dtype.h"
#include "models/qwen25vl/tensor_table.h"
#include "models/qwen25vl/window_layout.h"

namespace qvl {

// What counts: linear layers (2 x rows x elements of the weight; biases do not) and the two products of
// attention (4 x queries x keys x hidden size). What does not: norms, softmax, rotary angles, activations,
// conversions between types, all small beside it.
struct ModelWork {
  double linear_flop = 0;
  double attention_flop = 0;
  double weight_bytes = 0;  // of the linear layers, as the artifact stores them: each is read at least once

  [[nodiscard]] double flop() const noexcept { return linear_flop + attention_flop; }
};

// Of the vision artifact (f32) for a picture of this many patches. Blocks that attend inside windows count
// what is inside.
[[nodiscard]] ModelWork vision_work(const ModelConfig& config, const TensorTable& table,
                                    const PatchGrid& grid);

// Of a text artifact in `dtype` for one sequence. The graph gives logits at every token and computes the
// whole square of the attention scores, what the causal mask hides included: that is what counts.
[[nodiscard]] ModelWork text_work(const ModelConfig& config, const TensorTable& table, std::int64_t tokens,
                                  DType dtype);

}  // namespace qvl
