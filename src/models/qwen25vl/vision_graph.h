// The vision encoder as an ONNX graph for pictures of one fixed size.
// Source: Qwen2_5_VisionTransformerPretrainedModel of transformers' modeling_qwen2_5_vl.py.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "models/qwen25vl/model_config.h"
#include "models/tensor_table.h"
#include "onnx/onnx_model.h"

namespace qvl::qwen25vl {

struct VisionGraphOptions {
  std::int64_t height_pixels = 672;
  std::int64_t width_pixels = 672;
  // For tests: outputs blocks.0, blocks.1, … [patches, hidden] in window order besides the features.
  bool output_blocks = false;
  std::vector<std::pair<std::string, std::string>> metadata;
};

// Input `pixel_values` f32 [1, channels, height, width], CLIP-normalised; output `vision_features` f32
// [image tokens, out_hidden_size], image tokens row by row. Throws UsageError unless both sides are positive
// multiples of patch size x merge size, and the patches no more than the published processor makes.
[[nodiscard]] OnnxModel build_vision_graph(const ModelConfig& config, const TensorTable& table,
                                           const VisionGraphOptions& options);

}  // namespace qvl::qwen25vl
