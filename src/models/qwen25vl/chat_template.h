// The text that Qwen2.5-VL is given for a chat.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "text/chat.h"

namespace qvl::qwen25vl {

// As the checkpoint's chat template (`chat_template` of Qwen2.5-VL-Instruct): a default system message unless
// the first one is of that role, and for each picture one <|image_pad|> between <|vision_start|> and
// <|vision_end|>. The n-th <|image_pad|> so written stands for the n-th image part of the chat; texts are put in
// as they are, so that one of theirs may hold the same words.
[[nodiscard]] std::string render_chat(std::span<const ChatMessage> messages, const ChatOptions& options = {});

// True for the texts whose behaviour render_chat has: that published with Qwen2.5-VL, and that of the demo.
[[nodiscard]] bool is_known_template(std::string_view text);

}  // namespace qvl::qwen25vl
