// Questions as one folder's models are given them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "evaluation/question_set.h"
#include "folder/model_folder.h"

namespace qvl {

struct QuestionTokens {
  std::vector<std::int64_t> prompt;                 // with the image tokens of its pictures
  std::optional<std::vector<std::int64_t>> answer;  // of a known text, without the end token

  friend bool operator==(const QuestionTokens&, const QuestionTokens&) = default;
};

// By the folder's tokenizer, one for each question. Throws InputError for what the folder has no artifacts
// for, and for a prompt that with its answer has more tokens than the model takes.
[[nodiscard]] std::vector<QuestionTokens> question_tokens(const ModelFolder& folder, const QuestionSet& set);

// Folders can only be compared where they are given the same. Throws InputError that names both folders when
// pictures are of another size or the tokens of any question differ.
void require_same_questions(const ModelFolder& reference, const std::vector<QuestionTokens>& expected,
                            const ModelFolder& folder, const QuestionSet& set);

}  // namespace qvl
