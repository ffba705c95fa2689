// The text decoder as an ONNX graph over whole sequences (no KV cache), alone or with image embeddings.
// Source: Qwen2_5_VLTextModel and get_rope_index of transformers' modeling_qwen2_5_vl.py.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "models/qwen25vl/model_config.h"
#include "models/tensor_table.h"
#include "onnx/build/graph_builder.h"
#include "onnx/onnx_model.h"
#include "qvl/export.h"

namespace qvl::qwen25vl {

struct TextGraphOptions {
  DType dtype = DType::f16;  // of weights, activations, image_embeds and logits: F16 or F32
  MaskType mask_type = MaskType::int64;
  bool with_image = false;
  // Image tokens of one picture along height and width; every picture has this grid. Used with_image only.
  std::int64_t picture_rows_tokens = 24;
  std::int64_t picture_columns_tokens = 24;
  std::vector<std::pair<std::string, std::string>> metadata;
};

// Inputs `input_ids` i64 [batch, seq], `attention_mask` i64 or bool [batch, seq] (non-zero at tokens; padding
// on either side) and, with_image, `image_embeds` [batch, seq, hidden], whose rows replace the embeddings at
// image_token_id. Output `logits` [batch, seq, vocab]. Logits at padding have no meaning.
[[nodiscard]] OnnxModel build_text_graph(const ModelConfig& config, const TensorTable& table,
                                         const TextGraphOptions& options);

// The position part of the graph by itself, so that it can be tested alone: i64 [batch, seq] each, 0 at
// padding.
struct RopePositions {
  Value time;
  Value height;
  Value width;
};
// `mask` is boolean [batch, seq].
[[nodiscard]] RopePositions add_rope_positions(GraphBuilder& graph, const Value& input_ids, const Value& mask,
                                               std::int64_t image_token_id, const TextGraphOptions& options);

}  // namespace qvl::qwen25vl
