// Samples for a model folder: chats with pictures, one JSON object a line.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template.h"

namespace qvl {

// One line: {"messages": […], "answer": "…"}. `messages` are what parse_messages reads; `answer`, the text
// that the model should give, may be missing or null. Other keys are not looked at.
struct ChatSample {
  std::size_t line = 0;               // counted from 1
  std::string row;                    // the line itself, for readers of other keys
  std::vector<ChatMessage> messages;  // at least one
  std::optional<std::string> answer;
};

// Reads JSON lines; blank ones are skipped. Reading ends behind the first `limit` samples (0: with the text).
// Throws InputError that names `source`, line and field: for what is not such an object, for chats without
// messages, and for pictures that are not paths (none given, or a URL).
[[nodiscard]] std::vector<ChatSample> parse_chat_lines(std::string_view text, std::string_view source,
                                                       std::size_t limit = 0);

class ChatSamples {
 public:
  // Reads the whole file and looks whether all pictures are there; their paths are relative to its folder.
  // Throws InputError as parse_chat_lines, for a file without a sample, and one for all pictures that are
  // missing (the first 10 of them by name).
  explicit ChatSamples(const std::filesystem::path& file, std::size_t limit = 0);

  [[nodiscard]] std::size_t size() const noexcept { return samples_.size(); }
  // "calibration.jsonl:3"
  [[nodiscard]] std::string name(std::size_t index) const;
  [[nodiscard]] const std::string& row(std::size_t index) const;
  [[nodiscard]] const std::vector<ChatMessage>& messages(std::size_t index) const;
  // Absolute paths, in the order of the chat's image parts.
  [[nodiscard]] const std::vector<std::filesystem::path>& pictures(std::size_t index) const;
  [[nodiscard]] const std::optional<std::string>& answer(std::size_t index) const;
  // 64 hexadecimal digits of what the model is given and should answer: roles, texts, the answer and the
  // bytes of the pictures, but neither their paths nor the place of the chat in the file. Throws InputError
  // when a picture cannot be read any more.
  [[nodiscard]] std::string sha256(std::size_t index) const;

 private:
  std::string file_name_;
  std::vector<ChatSample> samples_;
  std::vector<std::vector<std::filesystem::path>> pictures_;  // of each sample
};

}  // namespace qvl
