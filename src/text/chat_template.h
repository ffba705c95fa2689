// Chats, and the text that Qwen2.5-VL is given for them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qvl {

struct ChatPart {
  enum class Kind { text, image };
  Kind kind = Kind::text;
  // The text, or where the picture is (a path or a URL, as written; empty when the message does not say).
  std::string value;
};

struct ChatMessage {
  std::string role;  // "system", "user", "assistant"; any other is passed on
  std::vector<ChatPart> parts;
};

struct ChatOptions {
  bool add_generation_prompt = true;  // ends with the opening of the assistant's turn
  bool add_vision_id = false;  // writes "Picture 1: " before the first picture, and so on through the chat
};

// As the checkpoint's chat template (`chat_template` of Qwen2.5-VL-Instruct): a default system message unless
// the first one is of that role, and for each picture one <|image_pad|> between <|vision_start|> and
// <|vision_end|>. The n-th
// <|image_pad|> so written stands for the n-th image part of the chat; texts are put in as they are, so that
// one of theirs may hold the same words.
[[nodiscard]] std::string render_chat(std::span<const ChatMessage> messages, const ChatOptions& options = {});

// Reads messages from JSON: an array of messages, or an object with `messages`. A message has a `role` and a
// `content`, a string or an array of parts: {"type": "text", "text": …}, {"type": "image", "image": path},
// where the path may be missing, or {"type": "image_url", "image_url": {"url": …}} (or the URL itself).
// Throws InputError that names `source`, the message and the field for anything else, parts of other types
// among it.
[[nodiscard]] std::vector<ChatMessage> parse_messages(std::string_view json, std::string_view source);

}  // namespace qvl
