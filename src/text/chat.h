// Chats: messages of texts and pictures.
#pragma once

#include <functional>
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
  std::string role;  // "system", "user", "assistant"
  std::vector<ChatPart> parts;
};

struct ChatOptions {
  bool add_generation_prompt = true;  // ends with the opening of the assistant's turn
  bool add_vision_id = false;  // writes "Picture 1: " before the first picture, and so on through the chat
};

// Reads messages from JSON: an array of messages, or an object with `messages` (or `conversations`). A message
// has a `role` (system, user, assistant) and a `content`, a string or an array of parts:
//
//   {"type": "text", "text": …}
//   {"type": "image", "image": path}                the path may be missing
//   {"type": "image_url", "image_url": {"url": …}}  or the URL itself
//
// In the layout of ShareGPT and LLaVA they are called `from` (human, gpt) and `value`. An object's `system` is a
// message before the others; its `images` (or `image`, one path or several) are the pictures for each <image> in
// a text and each part without a path, in order and as many.
//
// Throws InputError that names `source`, the message and the field for anything else: other roles, parts of
// other types, videos, tools, repeated keys. Keys that nothing is done with go to `on_warning` (may be empty),
// once each.
[[nodiscard]] std::vector<ChatMessage> parse_messages(
    std::string_view json, std::string_view source,
    const std::function<void(const std::string&)>& on_warning = {});

}  // namespace qvl
