// The special tokens of Qwen2.5-VL's chats.
#pragma once

#include <string_view>

#include "models/qwen25vl/model_config.h"

namespace qvl {
class Tokenizer;
}

namespace qvl::qwen25vl {

// The tokens that the chat template writes must be in the tokenizer, and where config.json names their ids,
// under these ids. Throws one InputError listing all that are missing or differ; `source` names the tokenizer
// in it.
void require_chat_tokens(const Tokenizer& tokenizer, const ModelConfig& config, std::string_view source);

}  // namespace qvl::qwen25vl
