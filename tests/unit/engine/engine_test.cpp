// What the engine does beside the right answers, which tests/parity proves.
#include "qvl/engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "engine/text_decoder.h"
#include "models/family.h"
#include "qvl/export.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

// Small pictures keep it fast; the answers make no sense at this size.
const fs::path& folder() {
  static const test::TemporaryFolder root;
  static const fs::path out = [] {
    ExportOptions options;
    options.checkpoint = test::demo_checkpoint();
    options.out = root.path() / "out";
    options.image_width_pixels = options.image_height_pixels = 56;
    export_checkpoint(options);
    return options.out;
  }();
  return out;
}

Question small_question() {
  Question question;
  question.pictures = {test::data("images/photo-56x56.png")};
  question.prompt = "Describe the image.";
  question.max_new_tokens = 3;
  return question;
}

TEST(Engine, CountsAndStopsAtTheLimit) {
  Engine engine({.folder = folder()});
  const Answer answer = engine.ask(small_question());
  EXPECT_EQ(answer.ids.size(), 3U);
  EXPECT_EQ(answer.stop, StopReason::length);
  EXPECT_EQ(answer.image_tokens, 4);
  EXPECT_GT(answer.prompt_tokens, 4);
  EXPECT_GT(answer.ms.total, 0);
  EXPECT_GT(answer.ms.vision, 0);
  // The same again, without loading: the answer is the same.
  EXPECT_EQ(engine.ask(small_question()).ids, answer.ids);
}

TEST(Engine, AnswersTheSameWithMappedWeights) {
  Engine prepared({.folder = folder()});
  Engine mapped({.folder = folder(), .low_memory = true});
  Question question = small_question();
  question.max_new_tokens = 12;
  EXPECT_EQ(mapped.ask(question).ids, prepared.ask(question).ids);
}

TEST(Engine, AnswersWithoutPicturesAndWithSeveral) {
  Engine engine({.folder = folder(), .threads = 1, .keep_loaded = false});
  Question none = small_question();
  none.pictures.clear();
  EXPECT_EQ(engine.ask(none).image_tokens, 0);
  Question two = small_question();
  two.pictures.push_back(two.pictures.front());
  EXPECT_EQ(engine.ask(two).image_tokens, 8);
}

TEST(Engine, KeepsTheDecoderThatAnswersBoth) {
  Engine engine({.folder = folder()});
  engine.ask(small_question());
  Question none = small_question();
  none.pictures.clear();
  EXPECT_EQ(engine.ask(none).ms.load, 0);
  EXPECT_EQ(engine.ask(small_question()).ms.load, 0);
}

TEST(Engine, ASystemMessageChangesThePrompt) {
  Engine engine({.folder = folder()});
  Question question = small_question();
  const std::int64_t before = engine.ask(question).prompt_tokens;
  question.system = "A much longer system message than the default one, with many more tokens in it.";
  EXPECT_GT(engine.ask(question).prompt_tokens, before);
}

TEST(Engine, RefusesWhatItCannotDo) {
  EXPECT_THROW(Engine({.folder = "/none"}), InputError);
  EXPECT_THROW(Engine({.folder = folder(), .provider = "tpu"}), UsageError);
  Engine engine({.folder = folder()});
  Question question = small_question();
  question.pictures = {"/none.jpg"};
  EXPECT_THROW(engine.ask(question), InputError);
  question = small_question();
  question.prompt = "what is <|image_pad|> here?";
  EXPECT_THROW(engine.ask(question), InputError);
  question = small_question();
  for (int i = 0; i < 5000; ++i) question.prompt += " word";
  EXPECT_THROW(engine.ask(question), InputError);
}

TEST(Engine, IsInterrupted) {
  Engine engine({.folder = folder()});
  CancelToken cancel;
  cancel.cancel();
  EXPECT_THROW(engine.ask(small_question(), {}, &cancel), Interrupted);
}

ModelFacts demo_facts() { return read_model(folder() / "config.json")->facts(); }

// Rows of one pass are those of a pass for each beginning of the sequence, up to rounding.
TEST(TextDecoder, GivesTheLogitsOfSeveralPlaces) {
  TextDecoder decoder(folder() / "shapes_vl_text_fp16.onnx", demo_facts(), SessionOptions{});
  const std::vector<std::int64_t> ids{287, 288, 415, 284, 13};
  decoder.begin(ids, {});
  const Tensor rows = decoder.logits_from(2, nullptr);
  ASSERT_EQ(rows.shape().front(), 3);
  const auto width = static_cast<std::size_t>(rows.shape().back());
  for (std::size_t i = 0; i < 3; ++i) {
    decoder.begin(std::span(ids).first(3 + i), {});
    const std::vector<float> expected = decoder.next_logits(nullptr);
    ASSERT_EQ(expected.size(), width);
    const float most = std::abs(*std::ranges::max_element(expected));
    for (std::size_t v = 0; v < width; ++v)
      ASSERT_NEAR(rows.as<float>()[i * width + v], expected[v], 0.01F * most) << i << " " << v;
  }
  EXPECT_THROW((void)decoder.logits_from(-1, nullptr), UsageError);
  EXPECT_THROW((void)decoder.logits_from(5, nullptr), UsageError);
}

// A vision artifact of another model gives rows of another width.
TEST(TextDecoder, RefusesFeaturesThatDoNotFit) {
  TextDecoder decoder(folder() / "shapes_vl_text_with_image_fp16.onnx", demo_facts(), SessionOptions{});
  const std::vector<std::int64_t> ids{1, 771, 2};
  EXPECT_THROW(decoder.begin(ids, {}), InputError);
  EXPECT_THROW(decoder.begin(ids, std::vector<Tensor>{Tensor(DType::f32, {1, 64})}), InputError);
  EXPECT_THROW(decoder.begin(ids, std::vector<Tensor>{Tensor(DType::f32, {2, 192})}), InputError);
  EXPECT_THROW(decoder.begin(ids, std::vector<Tensor>{Tensor(DType::f16, {1, 192})}), InputError);
  EXPECT_THROW(decoder.begin(ids, std::vector<Tensor>{Tensor(DType::f32, {192})}), InputError);
  EXPECT_NO_THROW(decoder.begin(ids, std::vector<Tensor>{Tensor(DType::f32, {1, 192})}));
}

TEST(TextDecoder, HasNoLogitsBeforeItBegins) {
  const TextDecoder decoder(folder() / "shapes_vl_text_fp16.onnx", demo_facts(), SessionOptions{});
  EXPECT_THROW((void)decoder.next_logits(nullptr), UsageError);
}

// What an artifact gives need not be what its graph declares.
TEST(DecoderInputs, RefusesFeaturesWithoutTheirBytes) {
  const std::vector<float> few(10);
  const std::vector<TensorView> features{{DType::f32, {1, 192}, std::as_bytes(std::span(few))}};
  EXPECT_THROW((void)DecoderInputs::of(TokenBatch::of_row(std::vector<std::int64_t>{771}), features,
                                       {DType::i64, DType::f32}, demo_facts()),
               InputError);
}

TEST(TextDecoder, RefusesModelsOfAnotherKind) {
  EXPECT_THROW(TextDecoder(folder() / "shapes_vl_vision_56_fp32.onnx", demo_facts(), SessionOptions{}),
               InputError);
}

// Weights that are not finite must not become an answer.
TEST(TextDecoder, RefusesLogitsThatAreNotFinite) {
  TextDecoder decoder(folder() / "shapes_vl_text_with_image_fp16.onnx", demo_facts(), SessionOptions{});
  Tensor features(DType::f32, {1, 192});
  features.as<float>()[3] = NAN;
  decoder.begin(std::vector<std::int64_t>{1, 771, 2}, std::vector<Tensor>{features});
  EXPECT_THROW((void)decoder.next_logits(nullptr), InputError);
}

}  // namespace
}  // namespace qvl
