// What a checkpoint of Qwen2.5-VL of a preset's shape holds.
#pragma once

#include "models/checkpoint_outline.h"
#include "models/preset.h"

namespace qvl::qwen25vl {

// config.json is the preset's but for torch_dtype, which tells `dtype`, and the number of layers. Throws
// UsageError for another dtype or more layers, InputError for a tokenizer that cannot be read, that lacks a
// token which the chat template or config.json asks for or has it under another id, or that has more tokens
// than the model.
[[nodiscard]] CheckpointOutline outline_checkpoint(const Preset& preset, const OutlineOptions& options = {});

}  // namespace qvl::qwen25vl
