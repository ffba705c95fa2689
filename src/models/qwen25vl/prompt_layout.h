// From a rendered chat to the decoder's input_ids.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "checkpoint/model_config.h"

namespace qvl {

class Tokenizer;

// The chat template writes one image token per picture; the model wants one per merge block. Every image
// token of `ids` is repeated as often as its picture asks for. Throws InputError when there are more or fewer
// than `tokens_per_picture`.
[[nodiscard]] std::vector<std::int64_t> expand_image_tokens(std::span<const std::int64_t> ids,
                                                            std::span<const std::int64_t> tokens_per_picture,
                                                            std::int64_t image_token_id);

// The tokens that the chat template writes must be in the tokenizer, and where config.json names their ids,
// under these ids. Throws one InputError listing all that are missing or differ; `source` names the tokenizer
// in it.
void require_chat_tokens(const Tokenizer& tokenizer, const ModelConfig& config, std::string_view source);

}  // namespace qvl
