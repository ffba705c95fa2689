// Chats to the decoder's tokens.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "folder/model_folder.h"
#include "text/chat.h"
#include "text/tokenizer.h"

namespace qvl {

// The prompt's tokens, with an image token for every merge block of every image part, whose picture has the
// folder's fixed size. Throws InputError where the folder has no artifacts for pictures, and for texts that
// hold image tokens themselves.
[[nodiscard]] std::vector<std::int64_t> chat_prompt_ids(const ModelFolder& folder, const Tokenizer& tokenizer,
                                                        std::span<const ChatMessage> messages);

// How many tokens may answer a prompt: `max_new_tokens`; where that is 0, what generation_config.json says,
// else 512; never more than the model has positions left. Throws InputError for a prompt that leaves none.
[[nodiscard]] std::int64_t answer_limit(const ModelFolder& folder, std::span<const std::int64_t> prompt,
                                        std::int64_t max_new_tokens);

}  // namespace qvl
