// The three reference artifacts of the tiny checkpoints against the reference implementation (bars:
// docs/architecture.md).
#include <gtest/gtest.h>

#include <algorithm>

#include "models/qwen25vl/model_config.h"
#include "parity/golden.h"
#include "qvl/export.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using namespace qwen25vl;

using test::argmax_mismatches;
using test::batch;
using test::Golden;
using test::relative_difference;
using test::to_floats;

constexpr double kF32Bar = 2e-4;  // of the output's largest value
constexpr double kF16Bar = 1e-2;
constexpr float kF16Gap = 5e-2F;

// One export per checkpoint and dtype, shared by the tests of this process.
const std::filesystem::path& exported(const std::string& checkpoint, bool f32) {
  static const test::TemporaryFolder root;
  static std::map<std::string, std::filesystem::path> done;
  const std::string key = checkpoint + (f32 ? "-f32" : "-f16");
  auto& folder = done[key];
  if (folder.empty()) {
    folder = root.path() / key;
    ExportOptions options;
    options.checkpoint = test::data("checkpoints/" + checkpoint);
    options.out = folder;
    options.stem = "m";
    options.text_in_f32 = f32;
    export_checkpoint(options);
  }
  return folder;
}

std::filesystem::path artifact(const std::string& checkpoint, const std::string& name, bool f32) {
  const std::string dtype = f32 || name == "vision_672" ? "_fp32.onnx" : "_fp16.onnx";
  return exported(checkpoint, f32) / ("m_" + name + dtype);
}

ModelConfig config_of(const std::string& checkpoint) {
  return read_model_config(test::data("checkpoints/" + checkpoint + "/config.json"));
}

// The rows of [tokens, width] at which the mask is not zero.
std::vector<float> unpadded(const std::vector<float>& values, const Tensor& mask, std::size_t width) {
  std::vector<float> kept;
  const auto m = mask.as<std::int64_t>();
  for (std::size_t i = 0; i < m.size(); ++i) {
    if (m[i] == 0) continue;
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(i * width);
    kept.insert(kept.end(), begin, begin + static_cast<std::ptrdiff_t>(width));
  }
  return kept;
}

// The last `count` positions of each row of [rows, length, width].
std::vector<float> last_positions(const std::vector<float>& values, std::size_t rows, std::size_t count,
                                  std::size_t width) {
  std::vector<float> kept;
  const std::size_t row_size = values.size() / rows;
  for (std::size_t row = 0; row < rows; ++row) {
    const auto end = values.begin() + static_cast<std::ptrdiff_t>((row + 1) * row_size);
    kept.insert(kept.end(), end - static_cast<std::ptrdiff_t>(count * width), end);
  }
  return kept;
}

void expect_f16_close(const std::vector<float>& found, const std::vector<float>& expected,
                      std::size_t vocab) {
  EXPECT_LE(relative_difference(found, expected), kF16Bar);
  EXPECT_EQ(argmax_mismatches(found, expected, vocab, kF16Gap), std::vector<std::size_t>{});
}

class Parity : public testing::TestWithParam<std::string> {
 protected:
  const std::string checkpoint_ = GetParam();
  const Golden golden_{checkpoint_};
  const ModelConfig config_ = config_of(checkpoint_);
  const std::size_t vocab_ = static_cast<std::size_t>(config_.text.vocab_size);

  // Logits [rows, length, vocab] of a text artifact.
  [[nodiscard]] std::vector<float> text_logits(bool f32) const {
    const Tensor ids = batch(golden_.inputs()["text"]["input_ids"]);
    const Tensor mask = batch(golden_.inputs()["text"]["attention_mask"]);
    const Session session(artifact(checkpoint_, "text", f32));
    return to_floats(
        session.run({{"input_ids", ids.view()}, {"attention_mask", mask.view()}}).front().view());
  }

  // The same with pictures, for a case of the golden's JSON whose pictures are all photo-672.
  [[nodiscard]] std::vector<float> picture_logits(const std::string& key, bool f32) const {
    const nlohmann::json& inputs = golden_.inputs()[key];
    const Tensor ids = batch(inputs["input_ids"]);
    Tensor mask(DType::i64, ids.shape());
    std::ranges::fill(mask.as<std::int64_t>(), 1);
    if (inputs.contains("attention_mask")) mask = batch(inputs["attention_mask"]);
    const Session vision(artifact(checkpoint_, "vision_672", f32));
    const auto pixels = test::pixel_values("photo-672.png", 672, 672);
    const auto features = to_floats(vision.run({{"pixel_values", pixels.view()}}).front().view());
    const Tensor embeds = test::image_embeds(ids, features, config_.text.hidden_size, config_.image_token_id,
                                             f32 ? DType::f32 : DType::f16);
    const Session session(artifact(checkpoint_, "text_with_image", f32));
    return to_floats(
        session
            .run(
                {{"input_ids", ids.view()}, {"attention_mask", mask.view()}, {"image_embeds", embeds.view()}})
            .front()
            .view());
  }
};

TEST_P(Parity, VisionAt672) {
  const Session session(artifact(checkpoint_, "vision_672", false));
  const Tensor pixels = test::pixel_values("photo-672.png", 672, 672);
  const auto features = session.run({{"pixel_values", pixels.view()}});
  ASSERT_EQ(features.front().shape(), (Shape{576, config_.vision.out_hidden_size}));
  EXPECT_LE(relative_difference(to_floats(features.front().view()), golden_.floats("vision_672.features")),
            kF32Bar);
}

// Sizes that are no multiples of a window have ragged windows at their edges.
TEST_P(Parity, VisionAtOtherSizes) {
  struct Case {
    std::string size;  // of the file
    std::int64_t width;
    std::int64_t height;
  };
  // The last one is below the processor's min_pixels, which enlarges it.
  for (const auto& [size, width, height] : {Case{"252x420", 252, 420},
                                            {"196x308", 196, 308},
                                            {"364x140", 364, 140},
                                            {"56x56", 56, 56},
                                            {"84x28", 112, 56}}) {
    const test::TemporaryFolder folder;
    ExportOptions options;
    options.checkpoint = test::data("checkpoints/" + checkpoint_);
    options.out = folder.path();
    options.stem = "m";
    options.only = {"vision"};
    options.image_width_pixels = width;
    options.image_height_pixels = height;
    const ExportResult result = export_checkpoint(options);
    const Session session(folder.path() / result.artifacts.front().file);
    const Tensor pixels = test::pixel_values("photo-" + size + ".png", width, height);
    const auto found = to_floats(session.run({{"pixel_values", pixels.view()}}).front().view());
    EXPECT_LE(relative_difference(found, golden_.floats("vision_" + size + ".features")), kF32Bar) << size;
  }
}

TEST_P(Parity, TextInF32) {
  const Tensor mask = batch(golden_.inputs()["text"]["attention_mask"]);
  const auto found = unpadded(text_logits(true), mask, vocab_);
  const auto expected = unpadded(golden_.floats("text.logits"), mask, vocab_);
  EXPECT_LE(relative_difference(found, expected), kF32Bar);
}

TEST_P(Parity, TextInF16) {
  const Tensor mask = batch(golden_.inputs()["text"]["attention_mask"]);
  const auto found = unpadded(text_logits(false), mask, vocab_);
  expect_f16_close(found, unpadded(golden_.floats("text.logits_fp16"), mask, vocab_), vocab_);
}

TEST_P(Parity, OnePictureInF32) {
  const auto found = picture_logits("image_672", true);
  EXPECT_LE(
      relative_difference(last_positions(found, 1, 16, vocab_), golden_.floats("image_672.logits_last16")),
      kF32Bar);
  const auto argmax = golden_.integers("image_672.argmax");
  std::size_t equal = 0;
  for (std::size_t i = 0; i < argmax.size(); ++i) {
    const auto row = found.begin() + static_cast<std::ptrdiff_t>(i * vocab_);
    equal += std::max_element(row, row + static_cast<std::ptrdiff_t>(vocab_)) - row == argmax[i] ? 1U : 0U;
  }
  EXPECT_EQ(equal, argmax.size());
}

TEST_P(Parity, OnePictureInF16) {
  const auto found = picture_logits("image_672", false);
  expect_f16_close(last_positions(found, 1, 16, vocab_), golden_.floats("image_672.logits_last16_fp16"),
                   vocab_);
}

// Row 0: one picture, padded on the left; row 1: the same picture twice.
TEST_P(Parity, BatchOfPicturesInF32) {
  const auto found = picture_logits("batch_672", true);
  EXPECT_LE(
      relative_difference(last_positions(found, 2, 8, vocab_), golden_.floats("batch_672.logits_last8")),
      kF32Bar);
}

TEST_P(Parity, BatchOfPicturesInF16) {
  const auto found = picture_logits("batch_672", false);
  expect_f16_close(last_positions(found, 2, 8, vocab_), golden_.floats("batch_672.logits_last8"), vocab_);
}

// Padding on the right changes nothing before it.
TEST_P(Parity, PicturePaddedOnTheRight) {
  const Tensor ids = batch(golden_.inputs()["image_672"]["input_ids"]);
  const std::int64_t length = ids.shape()[1];
  constexpr std::int64_t kPadding = 5;
  Tensor padded(DType::i64, {1, length + kPadding});
  Tensor mask(DType::i64, padded.shape());
  // The padding's id is the image token itself, the worst there is: it must not count as a picture.
  std::ranges::fill(padded.as<std::int64_t>(), config_.image_token_id);
  std::ranges::copy(ids.as<std::int64_t>(), padded.as<std::int64_t>().begin());
  std::fill_n(mask.as<std::int64_t>().begin(), length, 1);
  const auto features = golden_.floats("vision_672.features");
  const Tensor embeds =
      test::image_embeds(padded, features, config_.text.hidden_size, config_.image_token_id, DType::f32);
  const Session session(artifact(checkpoint_, "text_with_image", true));
  auto found = to_floats(session
                             .run({{"input_ids", padded.view()},
                                   {"attention_mask", mask.view()},
                                   {"image_embeds", embeds.view()}})
                             .front()
                             .view());
  found.resize(static_cast<std::size_t>(length) * vocab_);
  EXPECT_LE(
      relative_difference(last_positions(found, 1, 16, vocab_), golden_.floats("image_672.logits_last16")),
      kF32Bar);
}

TEST_P(Parity, BooleanMaskGivesTheSame) {
  const test::TemporaryFolder folder;
  ExportOptions options;
  options.checkpoint = test::data("checkpoints/" + checkpoint_);
  options.out = folder.path();
  options.stem = "m";
  options.only = {"text"};
  options.mask_type = MaskType::boolean;
  export_checkpoint(options);
  const Tensor ids = batch(golden_.inputs()["text"]["input_ids"]);
  const Tensor mask = batch(golden_.inputs()["text"]["attention_mask"]);
  Tensor boolean(DType::boolean, mask.shape());
  std::ranges::transform(mask.as<std::int64_t>(), boolean.as<std::uint8_t>().begin(),
                         [](std::int64_t m) { return static_cast<std::uint8_t>(m); });
  const Session session(folder.path() / "m_text_fp16.onnx");
  EXPECT_EQ(session.inputs()[1].dtype, DType::boolean);
  const auto found =
      to_floats(session.run({{"input_ids", ids.view()}, {"attention_mask", boolean.view()}}).front().view());
  EXPECT_EQ(found, text_logits(false));
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, Parity, testing::Values("tiny-tied", "tiny-sharded"),
                         [](const auto& instance) {
                           return instance.param == "tiny-tied" ? "TinyTied" : "TinySharded";
                         });

// What PyTorch exported from tiny-tied (tests/data/foreign-onnx) and ours, on the same inputs.
constexpr double kForeignBar = 1e-4;

TEST(ForeignExport, VisionIsTheSame) {
  const Tensor pixels = test::pixel_values("photo-672.png", 672, 672);
  const Session theirs(test::data("foreign-onnx/vision_672.onnx"));
  const Session ours(artifact("tiny-tied", "vision_672", true));
  const auto expected = theirs.run({{theirs.inputs().front().name, pixels.view()}});
  const auto found = ours.run({{"pixel_values", pixels.view()}});
  EXPECT_EQ(found.front().shape(), expected.front().shape());
  EXPECT_LE(relative_difference(to_floats(found.front().view()), to_floats(expected.front().view())),
            kForeignBar);
}

// The text artifact, and the one with image embeddings on the same text (PyTorch's export has no pictures).
TEST(ForeignExport, TextIsTheSame) {
  const Golden golden("tiny-tied");
  const ModelConfig config = config_of("tiny-tied");
  const Tensor ids = batch(golden.inputs()["text"]["input_ids"]);
  const Tensor mask = batch(golden.inputs()["text"]["attention_mask"]);
  std::vector<NamedTensor> inputs{{"input_ids", ids.view()}, {"attention_mask", mask.view()}};
  const auto vocab = static_cast<std::size_t>(config.text.vocab_size);
  const auto logits = [&](const std::filesystem::path& model) {
    return unpadded(to_floats(Session(model).run(inputs).front().view()), mask, vocab);
  };
  const auto expected = logits(test::data("foreign-onnx/text.onnx"));
  EXPECT_LE(relative_difference(logits(artifact("tiny-tied", "text", true)), expected), kForeignBar);
  const Tensor embeds(DType::f32, {ids.shape()[0], ids.shape()[1], config.text.hidden_size});
  inputs.push_back({"image_embeds", embeds.view()});
  EXPECT_LE(relative_difference(logits(artifact("tiny-tied", "text_with_image", true)), expected),
            kForeignBar);
}

}  // namespace
}  // namespace qvl
