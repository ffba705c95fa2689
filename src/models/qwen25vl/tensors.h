// Every tensor of a Qwen2.5-VL checkpoint.
#pragma once

#include "models/qwen25vl/model_config.h"
#include "models/tensor_table.h"

namespace qvl::qwen25vl {

// `head`: of a model whose lm_head is tied; without meaning for others.
[[nodiscard]] TensorTable tensor_table(const ModelConfig& config, TiedHead head = TiedHead::own);

}  // namespace qvl::qwen25vl
