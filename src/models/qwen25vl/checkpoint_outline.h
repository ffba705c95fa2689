// A checkpoint of a preset's shape without its weights: what is in it, and the text of its small files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/model_config.h"
#include "checkpoint/safetensors_layout.h"
#include "core/dtype.h"
#include "models/qwen25vl/preset.h"

namespace qvl {

struct TextFile {
  std::string name;
  std::string text;
};

struct CheckpointOutline {
  ModelConfig config;
  std::vector<TensorSpec> tensors;  // in the order of TensorTable
  // config.json, generation_config.json, preprocessor_config.json, tokenizer_config.json and tokenizer.json.
  std::vector<TextFile> files;
};

struct OutlineOptions {
  std::int64_t decoder_layers = 0;  // fewer than the preset's, the rest as it is; 0: all of them
  DType dtype = DType::bf16;        // of all tensors: BF16, F16 or F32
  std::optional<std::string> tokenizer_json =
      std::nullopt;                                 // a tokenizer.json's text; none: byte_tokenizer_json
  std::string tokenizer_source = "tokenizer.json";  // names it in messages
};

// config.json is the preset's but for torch_dtype, which tells `dtype`, and the number of layers. Throws
// UsageError for another dtype or more layers, InputError for a tokenizer that cannot be read, that lacks a
// token which the chat template or config.json asks for or has it under another id, or that has more tokens
// than the model.
[[nodiscard]] CheckpointOutline outline_checkpoint(const Preset& preset, const OutlineOptions& options = {});

}  // namespace qvl
