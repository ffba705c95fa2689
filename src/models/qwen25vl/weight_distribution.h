// How large the random weights of each tensor are.
#pragma once

#include <string_view>

#include "core/shape.h"
#include "models/qwen25vl/model_config.h"
#include "models/weight_distribution.h"

namespace qvl::qwen25vl {

// So that activations neither vanish nor explode at any depth, and logits are neither flat nor saturated:
//
//   linear layers   deviation 1/sqrt(in): inputs of variance 1 give outputs of variance 1 (LeCun et al.,
//                   Efficient BackProp, 1998). The patch embedding is one of them, its in all that a patch
//                   holds; lm_head too.
//   o_proj, attn.proj, down_proj
//                   that divided by sqrt(2 x layers), since they write to the residual stream: their sum over
//                   all layers has a variance near 1 at any depth (Radford et al., GPT-2, 2019, section 2.3)
//   q_proj, k_proj  that times sqrt(2): attention scores have a deviation of 2, so that attention picks some
//                   tokens instead of averaging all
//   embed_tokens    1/sqrt(hidden), as lm_head: small beside what the layers add, so that with a tied lm_head
//                   the current token is not always the next one too
//   norms           around 1 with a deviation of 0.1; model.norm around 3 with 0.3, which gives the logits a
//                   deviation of about 3, tied or not
//   biases          around 0 with a deviation of 0.1 in the text model (q, k and v), of 0.02 in the vision
//                   encoder
//
// No weight is beyond 3.47 deviations (see Noise), so that none comes near f16's range.
[[nodiscard]] WeightDistribution weight_distribution(std::string_view name, const Shape& shape,
                                                     const ModelConfig& config);

}  // namespace qvl::qwen25vl
