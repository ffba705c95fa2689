// Data files of chats: one JSON object a line, or an array of them.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat.h"

namespace qvl {

// {"messages": […], "answer": "…"}, or another layout of parse_messages. `answer`, the text that the model
// should give, may be missing or null; then a last message of the assistant is the answer. A row that is an
// array is its messages.
struct ChatSample {
  std::size_t line = 0;               // counted from 1
  bool in_array = false;              // `line` counts the objects of an array
  std::string row;                    // its JSON, for readers of other keys
  std::vector<ChatMessage> messages;  // at least one; without the answer's
  std::optional<std::string> answer;

  // "3" of a line, "#3" of an array, to put behind a file's name.
  [[nodiscard]] std::string place() const;
};

// Reads JSON lines (a byte order mark, CRLF and blank lines are passed over), or a text that is one JSON
// array of such objects, one array of messages, or one object over several lines. Reading of lines ends
// behind the first `limit` samples (0: with the text). `on_warning` (may be empty) is told each unknown key
// once.
//
// Throws InputError that names `source`, line and field: for what is not such an object, for repeated keys,
// for chats without messages, for those with an answer in two places, and for pictures without a path or at a
// URL other than file: and data:.
[[nodiscard]] std::vector<ChatSample> parse_chat_lines(
    std::string_view text, std::string_view source, std::size_t limit = 0,
    const std::function<void(const std::string&)>& on_warning = {});

}  // namespace qvl
