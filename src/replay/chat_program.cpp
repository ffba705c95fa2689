#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>

#include "core/sha256.h"
#include "engine/chat_prompt.h"
#include "engine/vision_encoder.h"
#include "folder/model_folder.h"
#include "image/picture.h"
#include "models/decoder_inputs.h"
#include "models/family.h"
#include "models/known_template.h"
#include "models/picture_pixels.h"
#include "qvl/error.h"
#include "replay/chat_samples.h"
#include "replay/draws.h"
#include "replay/program.h"
#include "text/tokenizer.h"

namespace qvl {
namespace {

constexpr const char* kEmbeds = "image_embeds";
// Of the answer that the model gives itself where the data has none: whole answers of this model take hours.
constexpr std::size_t kMostOwnTokens = 64;

std::string hash_with(const std::string& hash, std::string_view mark) {
  Sha256 both;
  both.update(std::as_bytes(std::span(hash)));
  both.update(std::as_bytes(std::span(mark)));
  return both.hex();
}

class ChatProgram {
 public:
  ChatProgram(const std::filesystem::path& folder, const std::filesystem::path& data, std::size_t samples,
              const CancelToken* cancel, const InputOptions& input, std::string output)
      : output_(std::move(output)),
        folder_(folder),
        tokenizer_(Tokenizer::load(folder_.tokenizer())),
        chats_(data, samples, input),
        input_(input),
        cancel_(cancel) {
    require_known_template(folder, folder_.model().family(), input_);
    folder_.model().require_chat_tokens(tokenizer_, folder_.tokenizer().string());
  }

  std::unique_ptr<Program> make(std::shared_ptr<ChatProgram> self);

 private:
  void add_parts();
  void add_sample(std::size_t chat);
  std::size_t picture_item(const Picture& picture);
  void write_inputs(std::size_t sample);
  Values join(std::size_t index, std::span<const HeldTensor> features) const;
  bool extend(std::size_t sample, std::int64_t token);
  [[nodiscard]] const ModelFacts& facts() const { return folder_.model().facts(); }

  std::string output_;
  ModelFolder folder_;
  Tokenizer tokenizer_;
  ChatSamples chats_;
  InputOptions input_;
  const CancelToken* cancel_;
  Program* program_ = nullptr;
  DecoderPorts ports_;                                 // of the last part
  bool pictures_ = false;                              // some chat has one
  std::unordered_map<std::string, std::size_t> seen_;  // pictures by content -> item
  std::vector<bool> transparent_;                      // by item: the pixels depend on input_.alpha
  std::vector<std::vector<std::int64_t>> ids_;  // by sample; the answer's tokens but the last one included
};

void ChatProgram::add_parts() {
  for (std::size_t i = 0; i < chats_.size(); ++i) pictures_ = pictures_ || !chats_.pictures(i).empty();
  const bool with_image = pictures_ || !folder_.has("text");
  const std::string text = with_image ? "text_with_image" : "text";
  if (pictures_) {
    program_->parts.push_back(
        std::make_unique<ModelPart>("vision", folder_.artifact("vision"), std::unordered_set<std::string>{}));
    program_->model_name = folder_.artifact("vision").filename().string() + " + ";
  }
  std::unordered_set<std::string> changed;
  if (with_image) changed.insert(kEmbeds);
  program_->parts.push_back(std::make_unique<ModelPart>(text, folder_.artifact(text), changed, output_));
  program_->model_name += folder_.artifact(text).filename().string();
  std::vector<PortSpec> inputs;
  for (const ModelGraph::Port& port : program_->parts.back()->graph.inputs())
    inputs.push_back({port.name, port.dtype.value_or(DType::i64), {}});
  ports_ = DecoderPorts::of(inputs).value_or(DecoderPorts{});
  for (const auto& part : program_->parts) {
    const auto draws = [](const ModelGraph::Node& node) { return !node.drawn.empty(); };
    require_drawable(part->graph);
    if (std::ranges::any_of(part->graph.nodes(), draws)) {
      throw InputError(
          fmt::format("{} draws random numbers, which a model folder's graphs do not; measure it as "
                      "a single ONNX file",
                      part->graph.path().string()));
    }
  }
  program_->items.resize(program_->parts.size());
  program_->has_logits = true;
}

std::size_t ChatProgram::picture_item(const Picture& picture) {
  const auto [known, is_new] = seen_.emplace(picture.sha256(cancel_), program_->items.front().size());
  if (!is_new) return known->second;
  bool transparent = false;
  const RgbImage image = picture.read({.alpha = input_.alpha}, &transparent);
  transparent_.push_back(transparent);
  folder_.model().family().require_usable_shape(image.size(), picture.name());
  PartItem item;
  item.inputs.emplace(
      program_->parts.front()->graph.inputs().front().name,
      HeldTensor::of(fixed_size_pixels(image, folder_.picture_size(), folder_.preprocessor())));
  program_->items.front().push_back(std::move(item));
  return known->second;
}

// input_ids, attention_mask and what rows they make, from ids_.
void ChatProgram::write_inputs(std::size_t index) {
  const std::vector<std::int64_t>& ids = ids_[index];
  const auto length = static_cast<std::int64_t>(ids.size());
  if (length > facts().max_position_embeddings) {
    throw InputError(fmt::format("{} has {} tokens with its answer; the model takes {}",
                                 program_->samples[index].name, length, facts().max_position_embeddings));
  }
  DecoderInputs tokens = DecoderInputs::of(TokenBatch::of_row(ids), {}, {ports_.mask, std::nullopt}, facts());
  Values& inputs = program_->items.back()[index].inputs;
  inputs.insert_or_assign("input_ids", HeldTensor::of(std::move(tokens.tokens.ids)));
  inputs.insert_or_assign("attention_mask", HeldTensor::of(std::move(tokens.mask)));
  std::vector<RowKind>& rows = program_->samples[index].rows;
  rows.clear();
  for (const std::int64_t id : ids)
    rows.push_back(id == facts().image_token_id ? RowKind::picture : RowKind::text);
}

void ChatProgram::add_sample(std::size_t chat) {
  Sample sample;
  sample.name = chats_.name(chat);
  sample.sha256 = chats_.sha256(chat);
  bool transparent = false;
  for (const Picture& picture : chats_.pictures(chat)) {
    sample.pictures.push_back(picture_item(picture));
    transparent = transparent || transparent_[sample.pictures.back()];
  }
  // Measurements of one way to read it are not those of the other. Without a mark: dropped, as it always was
  // before there was a choice.
  if (transparent && input_.alpha == Alpha::white) sample.sha256 = hash_with(sample.sha256, "alpha white");
  std::vector<std::int64_t> ids = chat_prompt_ids(folder_, tokenizer_, chats_.messages(chat));
  const auto first = static_cast<std::int64_t>(ids.size()) - 1;
  if (const auto answer = chats_.answer(chat)) {
    sample.answer.tokens = tokenizer_.encode(*answer);
    ids.insert(ids.end(), sample.answer.tokens.begin(), sample.answer.tokens.end());
    sample.answer.tokens.push_back(folder_.generation().eos_token_ids.front());
    for (std::size_t i = 0; i < sample.answer.tokens.size(); ++i)
      sample.answer.rows.push_back(first + static_cast<std::int64_t>(i));
  }
  ids_.push_back(std::move(ids));
  program_->samples.push_back(std::move(sample));
  program_->items.back().emplace_back();
  write_inputs(program_->samples.size() - 1);
}

Values ChatProgram::join(std::size_t index, std::span<const HeldTensor> features) const {
  Values values;
  if (!ports_.embeds) return values;
  std::vector<TensorView> views;
  for (const HeldTensor& held : features) views.push_back(held.view);
  // In f32, as all that runs here.
  DecoderInputs inputs =
      DecoderInputs::of(TokenBatch::of_row(ids_[index]), views, {ports_.mask, DType::f32}, facts());
  values.emplace(kEmbeds, HeldTensor::of(*std::move(inputs.embeds)));
  return values;
}

// The token that the model gives where the answer so far ends.
bool ChatProgram::extend(std::size_t index, std::int64_t token) {
  Sample& sample = program_->samples[index];
  sample.answer.rows.push_back(static_cast<std::int64_t>(ids_[index].size()) - 1);
  sample.answer.tokens.push_back(token);
  const auto& ends = folder_.generation().eos_token_ids;
  if (std::ranges::find(ends, token) != ends.end() || sample.answer.tokens.size() >= kMostOwnTokens)
    return false;
  ids_[index].push_back(token);
  write_inputs(index);
  return true;
}

std::unique_ptr<Program> ChatProgram::make(std::shared_ptr<ChatProgram> self) {
  auto program = std::make_unique<Program>();
  program_ = program.get();
  add_parts();
  for (std::size_t i = 0; i < chats_.size(); ++i) {
    if (cancel_ != nullptr) cancel_->throw_if_cancelled();
    add_sample(i);
  }
  program->number_units();
  program->join = [self](const Sample&, std::size_t index, std::span<const HeldTensor> features) {
    return self->join(index, features);
  };
  program->extend = [self](std::size_t sample, std::int64_t token) { return self->extend(sample, token); };
  return program;
}

}  // namespace

std::unique_ptr<Program> chat_program(const std::filesystem::path& folder, const std::filesystem::path& data,
                                      std::size_t samples, const CancelToken* cancel,
                                      const InputOptions& input, const std::string& output) {
  auto maker = std::make_shared<ChatProgram>(folder, data, samples, cancel, input, output);
  return maker->make(maker);
}

}  // namespace qvl
