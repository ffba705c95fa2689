#include "evaluation/question_set.h"

#include <fmt/format.h>

#include <map>

#include "core/json_text.h"
#include "qvl/error.h"
#include "replay/chat_samples.h"

namespace qvl {
namespace {

std::vector<LabelledBox> boxes_of(const ChatSamples& chats, std::size_t index) {
  const Json row = parse_json(chats.row(index), chats.name(index));
  const auto boxes = row.find("boxes");
  if (boxes == row.end() || boxes->is_null()) return {};
  if (chats.answer(index)) {
    throw InputError(fmt::format("{} has an answer and boxes; one of them is expected", chats.name(index)));
  }
  if (chats.pictures(index).size() != 1) {
    throw InputError(fmt::format("{} has boxes and {} pictures; boxes are of the one picture of a chat",
                                 chats.name(index), chats.pictures(index).size()));
  }
  return parse_boxes(boxes->dump(), chats.name(index) + ": boxes");
}

}  // namespace

QuestionSet read_questions(const std::filesystem::path& file, std::size_t limit, const InputOptions& input) {
  const ChatSamples chats(file, limit, input);
  QuestionSet set;
  set.name = file.filename().string();
  std::map<std::string, std::size_t> seen;
  for (std::size_t i = 0; i < chats.size(); ++i) {
    EvaluationQuestion question{chats.name(i), chats.messages(i), {}, chats.answer(i), boxes_of(chats, i)};
    for (const Picture& picture : chats.pictures(i)) {
      const auto [place, is_new] = seen.emplace(picture.key(), set.pictures.size());
      if (is_new) set.pictures.push_back(picture);
      question.pictures.push_back(place->second);
    }
    set.known += question.known() ? 1U : 0U;
    set.questions.push_back(std::move(question));
  }
  return set;
}

}  // namespace qvl
