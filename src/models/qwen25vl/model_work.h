// How much arithmetic one run of a reference artifact is, told from the config.
#pragma once

#include <cstdint>

#include "core/dtype.h"
#include "models/model_work.h"
#include "models/qwen25vl/model_config.h"
#include "models/qwen25vl/window_layout.h"
#include "models/tensor_table.h"

namespace qvl::qwen25vl {

// Of the vision artifact (f32) for a picture of this many patches. Blocks that attend inside windows count
// what is inside.
[[nodiscard]] ModelWork vision_work(const ModelConfig& config, const TensorTable& table,
                                    const PatchGrid& grid);

// Of a text artifact in `dtype` for one sequence. The graph gives logits at every token and computes the
// whole square of the attention scores, what the causal mask hides included: that is what counts.
[[nodiscard]] ModelWork text_work(const ModelConfig& config, const TensorTable& table, std::int64_t tokens,
                                  DType dtype);

}  // namespace qvl::qwen25vl
