// One folder's models on every question.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "engine/greedy_answer.h"
#include "engine/text_decoder.h"
#include "evaluation/question_set.h"
#include "evaluation/question_tokens.h"
#include "folder/model_folder.h"
#include "qvl/evaluate.h"
#include "runtime/session_options.h"
#include "text/tokenizer.h"

namespace qvl {

// The tokens behind a prompt at whose places the distributions of the next token are compared, and that of
// the token behind them.
struct ForcedTokens {
  std::vector<std::int64_t> ids;
  bool with_end = true;  // false: an answer that was cut off tells nothing of what comes behind it
};

struct FolderAnswer {
  GreedyAnswer greedy;
  bool right = false;  // what is known to be right; false where nothing is known
  double seconds = 0;  // its pictures prepared and encoded, and the generation
};

class FolderRun {
 public:
  struct Hooks {
    std::function<bool(std::size_t question)> wants_answer;
    // What is forced on a question; `answer` is there when one was wanted.
    std::function<ForcedTokens(std::size_t question, const std::optional<FolderAnswer>& answer)> forced;
    // f32 [positions, vocab]; called once a question. The order of questions is that of any run of the set.
    std::function<void(std::size_t question, Tensor logits)> on_logits;
  };

  // All must outlive it.
  FolderRun(const ModelFolder& folder, const QuestionSet& set, const std::vector<QuestionTokens>& tokens,
            const EvaluateOptions& options);

  // Encodes every picture once, then asks every question; each model is loaded once, and one is in memory at
  // a time. Beside it the features of all pictures are held (f32, image tokens x hidden each). Throws as
  // Session, read_image and TextDecoder.
  [[nodiscard]] std::vector<std::optional<FolderAnswer>> run(const Hooks& hooks);

 private:
  struct EncodedPicture {
    Tensor features;
    PixelSize size;  // of the picture itself, upright
    double seconds = 0;
  };

  void encode_pictures();
  void ask(const std::string& artifact, const std::vector<std::size_t>& questions, const Hooks& hooks);
  // What is said of the questions: where the data lacks answers that the others are compared at, the
  // reference's come first, and take their time.
  [[nodiscard]] const char* stage_of(const Hooks& hooks) const;
  [[nodiscard]] std::vector<Tensor> features_of(std::size_t question) const;
  [[nodiscard]] FolderAnswer answer(TextDecoder& decoder, std::size_t question) const;
  [[nodiscard]] bool is_right(std::size_t question, const GreedyAnswer& greedy) const;
  [[nodiscard]] SessionOptions session_options(const std::string& artifact) const;
  void report(const char* stage, std::size_t done, std::size_t total) const;

  const ModelFolder& folder_;
  const QuestionSet& set_;
  const std::vector<QuestionTokens>& tokens_;
  const EvaluateOptions& options_;
  Tokenizer tokenizer_;
  std::vector<EncodedPicture> pictures_;
  std::vector<std::optional<FolderAnswer>> answers_;
  std::size_t asked_ = 0;
};

}  // namespace qvl
