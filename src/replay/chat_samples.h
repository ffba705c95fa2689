// Samples for a model folder: chats with their pictures.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "image/picture.h"
#include "qvl/input.h"
#include "text/chat_rows.h"

namespace qvl {

class ChatSamples {
 public:
  // Reads the whole file and looks whether all pictures are there; their paths are relative to its folder.
  // Throws InputError as parse_chat_lines and Picture::at, for a file without a sample, and one for all
  // pictures that are missing (the first 10 of them by name).
  explicit ChatSamples(const std::filesystem::path& file, std::size_t limit = 0,
                       const InputOptions& input = {});

  [[nodiscard]] std::size_t size() const noexcept { return samples_.size(); }
  // "calibration.jsonl:3"
  [[nodiscard]] std::string name(std::size_t index) const;
  [[nodiscard]] const std::string& row(std::size_t index) const;
  [[nodiscard]] const std::vector<ChatMessage>& messages(std::size_t index) const;
  // In the order of the chat's image parts.
  [[nodiscard]] const std::vector<Picture>& pictures(std::size_t index) const;
  [[nodiscard]] const std::optional<std::string>& answer(std::size_t index) const;
  // 64 hexadecimal digits of what the model is given and should answer: roles, texts, the answer and the
  // bytes of the pictures, but neither their paths nor the place of the chat in the file. Throws InputError
  // when a picture cannot be read any more.
  [[nodiscard]] std::string sha256(std::size_t index) const;

 private:
  std::string file_name_;
  std::vector<ChatSample> samples_;
  std::vector<std::vector<Picture>> pictures_;  // of each sample
};

}  // namespace qvl
