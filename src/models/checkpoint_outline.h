// A checkpoint of a preset's shape without its weights: what is in it, and the text of its small files.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/safetensors_layout.h"
#include "core/dtype.h"
#include "models/model.h"

namespace qvl {

struct TextFile {
  std::string name;
  std::string text;
};

struct CheckpointOutline {
  std::shared_ptr<const Model> model;
  std::vector<TensorSpec> tensors;  // in the order of TensorTable
  // config.json, generation_config.json, preprocessor_config.json, tokenizer_config.json and tokenizer.json.
  std::vector<TextFile> files;
};

struct OutlineOptions {
  std::int64_t decoder_layers = 0;  // fewer than the preset's, the rest as it is; 0: all of them
  DType dtype = DType::bf16;        // of all tensors: BF16, F16 or F32
  // A tokenizer.json's text; none: byte_tokenizer_json.
  std::optional<std::string> tokenizer_json = std::nullopt;
  std::string tokenizer_source = "tokenizer.json";  // names it in messages
};

}  // namespace qvl
