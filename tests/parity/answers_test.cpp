// Greedy answers, token for token as the reference implementation's.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "core/json_text.h"
#include "engine/text_decoder.h"
#include "engine/vision_encoder.h"
#include "folder/model_folder.h"
#include "image/decode.h"
#include "models/picture_pixels.h"
#include "models/prompt_layout.h"
#include "models/qwen25vl/chat_template.h"
#include "parity/golden.h"
#include "qvl/qvl.h"
#include "support/test_data.h"
#include "text/chat.h"
#include "text/tokenizer.h"

namespace qvl {
namespace {

using namespace qwen25vl;

// Below this distance between the two highest logits another precision may take the other token
// (shapes-data/README.md).
constexpr double kSafeGap = 0.05;

std::vector<Json> rows_of(const std::string& file) {
  std::ifstream stream(test::data("shapes-data/" + file));
  std::vector<Json> rows;
  for (std::string line; std::getline(stream, line);) rows.push_back(parse_json(line, file));
  return rows;
}

// The demo checkpoint's folder, exported once per dtype.
const std::filesystem::path& demo(bool f32) {
  static const test::TemporaryFolder root;
  static std::filesystem::path done[2];
  std::filesystem::path& folder = done[f32 ? 1 : 0];
  if (folder.empty()) {
    folder = root.path() / (f32 ? "f32" : "f16");
    ExportOptions options;
    options.checkpoint = test::demo_checkpoint();
    options.out = folder;
    options.text_in_f32 = f32;
    export_checkpoint(options);
  }
  return folder;
}

// One pass over the prompt with the reference's answer behind it: at every position of the answer the model
// must prefer the reference's next token, and the end token after the last. That is what greedy decoding
// does, step by step, at a fraction of the time.
class TeacherForced {
 public:
  explicit TeacherForced(bool f32)
      : folder_(demo(f32)),
        tokenizer_(Tokenizer::load(folder_.tokenizer())),
        vision_(folder_.artifact("vision"), SessionOptions{}),
        text_(folder_.artifact("text_with_image")),
        dtype_(f32 ? DType::f32 : DType::f16) {}

  // The first position of the answer at which another token is preferred; nothing when there is none.
  std::optional<std::size_t> first_difference(const Json& row) const {
    const auto messages = parse_messages(row["messages"].dump(), "row");
    const std::string picture = messages.front().parts.front().value;
    const Tensor features = vision_.encode(fixed_size_pixels(read_image(test::data("shapes-data/" + picture)),
                                                             folder_.picture_size(), folder_.preprocessor()),
                                           nullptr);
    const std::int64_t image_token = folder_.model().facts().image_token_id;
    const std::vector<std::int64_t> tokens{features.shape().front()};
    std::vector<std::int64_t> ids =
        expand_image_tokens(tokenizer_.encode(render_chat(messages)), tokens, image_token);
    const std::size_t prompt = ids.size();
    const auto answer = row["reference"]["fixed_672"]["ids"].get<std::vector<std::int64_t>>();
    ids.insert(ids.end(), answer.begin(), answer.end());
    const Tensor input =
        Tensor::of<std::int64_t>(DType::i64, {1, static_cast<std::int64_t>(ids.size())}, ids);
    Tensor mask(DType::i64, input.shape());
    std::ranges::fill(mask.as<std::int64_t>(), 1);
    const Tensor embeds = test::image_embeds(input, test::to_floats(features.view()),
                                             folder_.model().facts().hidden_size, image_token, dtype_);
    const auto logits = test::to_floats(text_
                                            .run({{"input_ids", input.view()},
                                                  {"attention_mask", mask.view()},
                                                  {"image_embeds", embeds.view()}})
                                            .front()
                                            .view());
    const auto vocab = static_cast<std::ptrdiff_t>(folder_.model().facts().vocab_size);
    for (std::size_t i = 0; i <= answer.size(); ++i) {
      const auto at = logits.begin() + static_cast<std::ptrdiff_t>(prompt + i - 1) * vocab;
      const std::int64_t best = std::max_element(at, at + vocab) - at;
      const auto& eos = folder_.generation().eos_token_ids;
      const bool right = i < answer.size() ? best == answer[i] : std::ranges::find(eos, best) != eos.end();
      if (!right) return i;
    }
    return std::nullopt;
  }

 private:
  ModelFolder folder_;
  Tokenizer tokenizer_;
  VisionEncoder vision_;
  Session text_;
  DType dtype_;
};

TEST(Answers, OfAllRowsInF32) {
  const TeacherForced model(true);
  std::size_t checked = 0;
  for (const std::string file : {"evaluation.jsonl", "calibration.jsonl"}) {
    for (const Json& row : rows_of(file)) {
      EXPECT_EQ(model.first_difference(row), std::nullopt) << row["messages"].dump();
      ++checked;
    }
  }
  EXPECT_EQ(checked, 92U);
}

TEST(Answers, OfAllRowsInF16WhereTheReferenceIsSure) {
  const TeacherForced model(false);
  std::size_t checked = 0;
  for (const std::string file : {"evaluation.jsonl", "calibration.jsonl"}) {
    for (const Json& row : rows_of(file)) {
      if (row["reference"]["fixed_672"]["min_gap"].get<double>() < kSafeGap) continue;
      EXPECT_EQ(model.first_difference(row), std::nullopt) << row["messages"].dump();
      ++checked;
    }
  }
  EXPECT_EQ(checked, 85U);
}

// The engine itself, step by step, streaming.
TEST(Answers, StreamedByTheEngine) {
  Engine engine({.folder = demo(false)});
  std::size_t checked = 0;
  for (const Json& row : rows_of("evaluation.jsonl")) {
    const Json& expected = row["reference"]["fixed_672"];
    if (checked == 6 || expected["min_gap"].get<double>() < kSafeGap) continue;
    const auto messages = parse_messages(row["messages"].dump(), "row");
    Question question;
    question.pictures = {test::data("shapes-data/" + messages.front().parts.at(0).value)};
    question.prompt = messages.front().parts.at(1).value;
    std::string streamed;
    const Answer answer = engine.ask(question, [&](std::string_view piece) { streamed += piece; });
    EXPECT_EQ(answer.ids, expected["ids"].get<std::vector<std::int64_t>>());
    EXPECT_EQ(answer.text, expected["text"].get<std::string>());
    EXPECT_EQ(streamed, answer.text);
    EXPECT_EQ(answer.stop, StopReason::eos);
    EXPECT_EQ(answer.image_tokens, 576);
    ++checked;
  }
  EXPECT_EQ(checked, 6U);
}

// The tiny checkpoints never end an answer: 24 tokens of the golden.
TEST(Answers, OfTheTinyCheckpoints) {
  for (const std::string checkpoint : {"tiny-tied", "tiny-sharded"}) {
    const test::Golden golden(checkpoint);
    const test::TemporaryFolder out;
    ExportOptions options;
    options.checkpoint = test::data("checkpoints/" + checkpoint);
    options.out = out.path();
    options.text_in_f32 = true;
    options.only = {"vision", "text_with_image"};
    export_checkpoint(options);
    const ModelFolder folder(out.path());
    const VisionEncoder vision(folder.artifact("vision"), SessionOptions{});
    const std::vector<Tensor> features{vision.encode(test::pixel_values("photo-672.png", 672, 672), nullptr)};
    const Json& ids = golden.inputs()["image_672"]["input_ids"];
    TextDecoder decoder(folder.artifact("text_with_image"), folder.model().facts(), SessionOptions{});
    decoder.begin(ids.front().get<std::vector<std::int64_t>>(), features);
    std::vector<std::int64_t> found;
    for (int step = 0; step < 24; ++step) {
      const auto logits = decoder.next_logits(nullptr);
      found.push_back(std::max_element(logits.begin(), logits.end()) - logits.begin());
      decoder.append(found.back());
    }
    EXPECT_EQ(found, golden.inputs()["image_672"]["greedy_24"].get<std::vector<std::int64_t>>())
        << checkpoint;
  }
}

}  // namespace
}  // namespace qvl
