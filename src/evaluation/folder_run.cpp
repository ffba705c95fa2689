#include "evaluation/folder_run.h"

#include <chrono>

#include "engine/chat_prompt.h"
#include "engine/session_defaults.h"
#include "engine/vision_encoder.h"
#include "image/picture.h"
#include "models/family.h"
#include "models/picture_pixels.h"
#include "text/tokenizer.h"

namespace qvl {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

FolderRun::FolderRun(const ModelFolder& folder, const QuestionSet& set,
                     const std::vector<QuestionTokens>& tokens, const EvaluateOptions& options)
    : folder_(folder),
      set_(set),
      tokens_(tokens),
      options_(options),
      tokenizer_(Tokenizer::load(folder.tokenizer())),
      answers_(set.questions.size()) {}

// As the engine's, so that a question is answered as `qvl run` does.
SessionOptions FolderRun::session_options(const std::string& artifact) const {
  return engine_session_options(*provider_from_name(options_.provider), options_.threads,
                                weights_that_fit(folder_.f32_weights_bytes(artifact)));
}

void FolderRun::report(const char* stage, std::size_t done, std::size_t total) const {
  if (options_.cancel != nullptr) options_.cancel->throw_if_cancelled();
  if (!options_.on_progress) return;
  options_.on_progress(
      {folder_.path().string(), stage, static_cast<std::int64_t>(done), static_cast<std::int64_t>(total)});
}

void FolderRun::encode_pictures() {
  const VisionEncoder vision(folder_.artifact("vision"), session_options("vision"));
  for (const Picture& source : set_.pictures) {
    report("pictures", pictures_.size(), set_.pictures.size());
    const auto start = Clock::now();
    const RgbImage image = source.read({.alpha = options_.input.alpha});
    folder_.model().family().require_usable_shape(image.size(), source.name());
    const Tensor pixels = fixed_size_pixels(image, folder_.picture_size(), folder_.preprocessor());
    EncodedPicture picture{vision.encode(pixels, options_.cancel), image.size(), 0};
    picture.seconds = seconds_since(start);
    pictures_.push_back(std::move(picture));
  }
  report("pictures", pictures_.size(), set_.pictures.size());
}

std::vector<Tensor> FolderRun::features_of(std::size_t question) const {
  std::vector<Tensor> features;
  for (const std::size_t picture : set_.questions[question].pictures)
    features.push_back(pictures_.at(picture).features);
  return features;
}

bool FolderRun::is_right(std::size_t index, const GreedyAnswer& greedy) const {
  const EvaluationQuestion& question = set_.questions[index];
  const std::string text = tokenizer_.decode(greedy.ids, /*skip_special=*/true);
  if (question.answer) return greedy.stop == StopReason::eos && text == *question.answer;
  if (question.boxes.empty()) return false;
  std::vector<LabelledBox> found = boxes_in_answer(text);
  const PixelSize original = pictures_.at(question.pictures.front()).size;
  for (LabelledBox& box : found) box = stretched(box, folder_.picture_size(), original);
  return all_found(question.boxes, found);
}

FolderAnswer FolderRun::answer(TextDecoder& decoder, std::size_t question) const {
  const std::vector<std::int64_t>& prompt = tokens_[question].prompt;
  const std::vector<Tensor> features = features_of(question);
  const auto start = Clock::now();
  FolderAnswer result;
  decoder.begin(prompt, features);
  result.greedy = answer_greedily(decoder, folder_.generation().eos_token_ids,
                                  answer_limit(folder_, prompt, options_.max_new_tokens), options_.cancel);
  result.seconds = seconds_since(start);
  for (const std::size_t picture : set_.questions[question].pictures)
    result.seconds += pictures_.at(picture).seconds;
  result.right = is_right(question, result.greedy);
  return result;
}

const char* FolderRun::stage_of(const Hooks& hooks) const {
  for (std::size_t q = 0; q < set_.questions.size(); ++q) {
    if (hooks.wants_answer(q))
      return options_.answers ? "questions" : "questions, unanswered ones answered first";
  }
  return "questions";
}

void FolderRun::ask(const std::string& artifact, const std::vector<std::size_t>& questions,
                    const Hooks& hooks) {
  if (questions.empty()) return;
  TextDecoder decoder(folder_.artifact(artifact), folder_.model().facts(), session_options(artifact));
  for (const std::size_t q : questions) {
    report(stage_of(hooks), asked_, set_.questions.size());
    if (hooks.wants_answer(q)) answers_[q] = answer(decoder, q);
    const ForcedTokens forced = hooks.forced(q, answers_[q]);
    std::vector<std::int64_t> ids = tokens_[q].prompt;
    const auto first = static_cast<std::int64_t>(ids.size()) - 1;
    // The last token of an answer that was cut off predicts nothing that counts.
    const std::size_t given = forced.ids.size() - (forced.with_end ? 0 : 1);
    ids.insert(ids.end(), forced.ids.begin(), forced.ids.begin() + static_cast<std::ptrdiff_t>(given));
    decoder.begin(ids, features_of(q));
    hooks.on_logits(q, decoder.logits_from(first, options_.cancel));
    ++asked_;
  }
}

std::vector<std::optional<FolderAnswer>> FolderRun::run(const Hooks& hooks) {
  std::vector<std::size_t> with_picture;
  std::vector<std::size_t> without;
  for (std::size_t q = 0; q < set_.questions.size(); ++q)
    (set_.questions[q].pictures.empty() ? without : with_picture).push_back(q);
  if (set_.with_pictures()) encode_pictures();
  if (folder_.has("text")) {
    ask("text_with_image", with_picture, hooks);
    ask("text", without, hooks);
  } else {
    with_picture.insert(with_picture.end(), without.begin(), without.end());
    ask("text_with_image", with_picture, hooks);
  }
  report(stage_of(hooks), asked_, set_.questions.size());
  return std::move(answers_);
}

}  // namespace qvl
