#include "evaluation/question_tokens.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/chat_prompt.h"
#include "qvl/error.h"
#include "text/tokenizer.h"

namespace qvl {
namespace {

void require_artifacts(const ModelFolder& folder, const QuestionSet& set) {
  if (set.with_pictures()) (void)folder.picture_size();
  if (!folder.has("text")) (void)folder.artifact("text_with_image");
}

std::string text_of(PixelSize size) { return fmt::format("{}x{}", size.width, size.height); }

}  // namespace

std::vector<QuestionTokens> question_tokens(const ModelFolder& folder, const QuestionSet& set) {
  require_artifacts(folder, set);
  const Tokenizer tokenizer = Tokenizer::load(folder.tokenizer());
  folder.model().require_chat_tokens(tokenizer, folder.tokenizer().string());
  const std::int64_t most = folder.model().facts().max_position_embeddings;
  std::vector<QuestionTokens> all;
  for (const EvaluationQuestion& question : set.questions) {
    QuestionTokens tokens{chat_prompt_ids(folder, tokenizer, question.messages), std::nullopt};
    if (question.answer) tokens.answer = tokenizer.encode(*question.answer);
    const std::size_t length = tokens.prompt.size() + (tokens.answer ? tokens.answer->size() : 0);
    if (static_cast<std::int64_t>(std::max(length, tokens.prompt.size() + 1)) > most) {
      throw InputError(fmt::format("{} has {} tokens{}; the model in {} takes {}", question.name, length,
                                   tokens.answer ? " with its answer" : "", folder.path().string(), most));
    }
    all.push_back(std::move(tokens));
  }
  return all;
}

void require_same_questions(const ModelFolder& reference, const std::vector<QuestionTokens>& expected,
                            const ModelFolder& folder, const QuestionSet& set) {
  if (set.with_pictures() && folder.picture_size() != reference.picture_size()) {
    throw InputError(fmt::format(
        "{} is for pictures of {}, {} for {}; folders of one size can be compared (export with the same "
        "--image-size)",
        folder.path().string(), text_of(folder.picture_size()), reference.path().string(),
        text_of(reference.picture_size())));
  }
  const std::vector<QuestionTokens> found = question_tokens(folder, set);
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found[i] == expected.at(i)) continue;
    throw InputError(
        fmt::format("{}: the tokens in {} are not those in {}; folders with one tokenizer can be compared",
                    set.questions[i].name, folder.path().string(), reference.path().string()));
  }
}

}  // namespace qvl
