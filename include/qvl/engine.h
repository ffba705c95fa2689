// Questions about pictures, answered by a model folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "qvl/error.h"
#include "qvl/input.h"
#include "qvl/progress.h"

namespace qvl {

struct EngineOptions {
  // What export_checkpoint wrote.
  std::filesystem::path folder;
  std::string provider = "cpu";  // "cpu" or "cuda"
  int threads = 0;               // 0: one per processor
  // Keep the models in memory between questions. Without it each is loaded when needed and dropped when done,
  // vision before the decoder: the least memory for one question.
  bool keep_loaded = true;
  // CPU: weights stay in the mapped files instead of being copied for the fastest runs. Loads in no time and
  // allocates the least, but short prompts take longer. Happens by itself where the copies would not fit.
  bool low_memory = false;
  InputOptions input = {};
};

struct Question {
  std::vector<std::filesystem::path> pictures;  // PNG, JPEG, WebP, GIF or BMP, in the order of the prompt
  std::string prompt;
  std::optional<std::string> system;  // none: the chat template's default
  // At most this many tokens; 0: max_new_tokens of generation_config.json, else 512.
  std::int64_t max_new_tokens = 0;
};

enum class StopReason { eos, length };

// Milliseconds of wall time.
struct StageTimes {
  double load = 0;         // tokenizer and models into memory
  double preprocess = 0;   // pictures decoded, resized, normalised
  double vision = 0;       // pictures encoded
  double first_token = 0;  // the decoder's first pass, over the whole prompt
  double total = 0;        // from the question to the last token
};

struct Answer {
  std::string text;
  std::vector<std::int64_t> ids;  // without the end token
  StopReason stop = StopReason::eos;
  std::int64_t prompt_tokens = 0;  // image tokens included
  std::int64_t image_tokens = 0;
  StageTimes ms;
};

class QVL_API Engine {
 public:
  // Reads the folder's configs and tokenizer; models are loaded at the first question. Throws InputError when
  // the folder is not a whole model folder.
  explicit Engine(EngineOptions options);
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Greedy decoding. `on_text` gets the answer piece by piece as it comes, whole UTF-8 characters only.
  // Throws InputError for pictures that cannot be read and for prompts longer than the model takes,
  // MachineError when ONNX Runtime or its provider is missing, Interrupted when cancelled. One question at a
  // time.
  Answer ask(const Question& question, const std::function<void(std::string_view)>& on_text = {},
             const CancelToken* cancel = nullptr);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace qvl
