#include "qvl/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "engine/chat_prompt.h"
#include "engine/greedy_answer.h"
#include "engine/session_defaults.h"
#include "engine/text_decoder.h"
#include "engine/vision_encoder.h"
#include "folder/model_folder.h"
#include "image/decode.h"
#include "models/family.h"
#include "models/known_template.h"
#include "models/picture_pixels.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

namespace qvl {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

}  // namespace

struct Engine::State {
  EngineOptions options;
  ModelFolder folder;
  Tokenizer tokenizer;
  Provider provider = Provider::cpu;
  double load_ms = 0;  // not yet reported with an answer
  std::optional<VisionEncoder> vision;
  std::optional<TextDecoder> decoder;
  bool decoder_takes_pictures = false;

  explicit State(EngineOptions o, Clock::time_point start = Clock::now())
      : options(std::move(o)), folder(options.folder), tokenizer(Tokenizer::load(folder.tokenizer())) {
    const auto chosen = provider_from_name(options.provider);
    if (!chosen) throw UsageError(fmt::format("provider \"{}\"; cpu or cuda can be had", options.provider));
    provider = *chosen;
    folder.model().require_chat_tokens(tokenizer, folder.tokenizer().string());
    require_known_template(folder.path(), folder.model().family(), options.input);
    load_ms = ms_since(start);
  }

  Answer ask(const Question& question, const std::function<void(std::string_view)>& on_text,
             const CancelToken* cancel);
  std::vector<Tensor> encode_pictures(const Question& question, const CancelToken* cancel, StageTimes& ms);
  std::vector<std::int64_t> prompt_ids(const Question& question) const;
  SessionOptions session_options(std::string_view artifact) const;
  void load_decoder(bool with_pictures);
  void generate(std::int64_t limit, const std::function<void(std::string_view)>& on_text,
                const CancelToken* cancel, Answer& answer);
};

std::vector<std::int64_t> Engine::State::prompt_ids(const Question& question) const {
  std::vector<ChatMessage> messages;
  if (question.system) messages.push_back({"system", {{ChatPart::Kind::text, *question.system}}});
  ChatMessage user{"user", {}};
  for (const auto& picture : question.pictures)
    user.parts.push_back({ChatPart::Kind::image, picture.string()});
  user.parts.push_back({ChatPart::Kind::text, question.prompt});
  messages.push_back(std::move(user));
  return chat_prompt_ids(folder, tokenizer, messages);
}

std::vector<Tensor> Engine::State::encode_pictures(const Question& question, const CancelToken* cancel,
                                                   StageTimes& ms) {
  std::vector<Tensor> features;
  if (question.pictures.empty()) return features;
  const PixelSize size = folder.picture_size();
  std::vector<Tensor> pixels;
  auto start = Clock::now();
  for (const auto& picture : question.pictures) {
    const RgbImage image = read_image(picture, {.alpha = options.input.alpha});
    folder.model().family().require_usable_shape(image.size(), picture.string());
    pixels.push_back(fixed_size_pixels(image, size, folder.preprocessor()));
  }
  ms.preprocess = ms_since(start);
  if (!vision) {
    start = Clock::now();
    vision.emplace(folder.artifact(kVisionArtifact), session_options(kVisionArtifact));
    load_ms += ms_since(start);
  }
  start = Clock::now();
  for (const Tensor& p : pixels) features.push_back(vision->encode(p, cancel));
  ms.vision = ms_since(start);
  if (!options.keep_loaded) vision.reset();
  return features;
}

SessionOptions Engine::State::session_options(std::string_view artifact) const {
  const Weights weights =
      options.low_memory ? Weights::mapped : weights_that_fit(folder.f32_weights_bytes(artifact));
  return engine_session_options(provider, options.threads, weights);
}

void Engine::State::load_decoder(bool with_pictures) {
  // Either artifact answers a question without a picture; the one for it is smaller in what it computes.
  const bool use_pictures = with_pictures || !folder.has(kTextArtifact);
  if (decoder && (decoder_takes_pictures || !use_pictures)) return;
  const auto start = Clock::now();
  decoder.reset();
  const std::string_view artifact = use_pictures ? kTextWithImageArtifact : kTextArtifact;
  decoder.emplace(folder.artifact(artifact), folder.model().facts(), session_options(artifact));
  decoder_takes_pictures = use_pictures;
  load_ms += ms_since(start);
}

void Engine::State::generate(std::int64_t limit, const std::function<void(std::string_view)>& on_text,
                             const CancelToken* cancel, Answer& answer) {
  Detokenizer detokenizer(tokenizer, /*skip_special=*/true);
  const auto emit = [&](const std::string& piece) {
    answer.text += piece;
    if (on_text && !piece.empty()) on_text(piece);
  };
  GreedyAnswer greedy = answer_greedily(*decoder, folder.generation().eos_token_ids, limit, cancel,
                                        [&](std::int64_t id) { emit(detokenizer.push(id)); });
  emit(detokenizer.finish());
  answer.ids = std::move(greedy.ids);
  answer.stop = greedy.stop;
  answer.ms.first_token = greedy.first_token_ms;
}

Answer Engine::State::ask(const Question& question, const std::function<void(std::string_view)>& on_text,
                          const CancelToken* cancel) {
  const auto start = Clock::now();
  Answer answer;
  // What can be refused is refused before minutes go into the vision encoder.
  const std::vector<std::int64_t> ids = prompt_ids(question);
  answer.prompt_tokens = static_cast<std::int64_t>(ids.size());
  answer.image_tokens = std::ranges::count(ids, folder.model().facts().image_token_id);
  const std::int64_t limit = answer_limit(folder, ids, question.max_new_tokens);
  const std::vector<Tensor> features = encode_pictures(question, cancel, answer.ms);
  load_decoder(!question.pictures.empty());
  decoder->begin(ids, features);
  generate(limit, on_text, cancel, answer);
  if (!options.keep_loaded) decoder.reset();
  answer.ms.total = ms_since(start);
  answer.ms.load = std::exchange(load_ms, 0);
  return answer;
}

Engine::Engine(EngineOptions options) : state_(std::make_unique<State>(std::move(options))) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

Answer Engine::ask(const Question& question, const std::function<void(std::string_view)>& on_text,
                   const CancelToken* cancel) {
  return state_->ask(question, on_text, cancel);
}

}  // namespace qvl
