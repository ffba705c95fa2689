// What folders are asked: chats whose answers, or the boxes in whose pictures, are known.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "evaluation/labelled_box.h"
#include "image/picture.h"
#include "qvl/input.h"
#include "text/chat.h"

namespace qvl {

struct EvaluationQuestion {
  std::string name;  // "evaluation.jsonl:3"
  std::vector<ChatMessage> messages;
  std::vector<std::size_t> pictures;  // of QuestionSet::pictures, in the order of the prompt
  // At most one of these is known.
  std::optional<std::string> answer;
  std::vector<LabelledBox> boxes;  // in pixels of the picture itself; then there is exactly one

  [[nodiscard]] bool known() const { return answer || !boxes.empty(); }
};

struct QuestionSet {
  std::string name;  // of the file
  std::vector<EvaluationQuestion> questions;
  std::vector<Picture> pictures;  // each once
  std::size_t known = 0;          // questions with an answer or boxes

  [[nodiscard]] bool with_pictures() const { return !pictures.empty(); }
};

// A JSONL file as ChatSamples reads, whose rows may have `boxes` (parse_boxes) instead of `answer`. `limit`:
// the first so many rows; 0: all. Throws InputError as ChatSamples, for boxes that are none, for boxes of a
// chat without or with several pictures, and for a row that has both.
[[nodiscard]] QuestionSet read_questions(const std::filesystem::path& file, std::size_t limit,
                                         const InputOptions& input = {});

}  // namespace qvl
