// A second family goes the whole way, from its checkpoint to an answer, without a line outside its folder.
#include "toy_family.h"

#include <gtest/gtest.h>

#include "folder/model_folder.h"
#include "image/decode.h"
#include "models/family.h"
#include "models/picture_pixels.h"
#include "qvl/engine.h"
#include "qvl/export.h"
#include "qvl/verify.h"
#include "support/test_data.h"
#include "text/tokenizer.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

constexpr PixelSize kPicture{12, 20};

class ToyFamilyTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { register_family(test::toy_family()); }

  [[nodiscard]] fs::path exported() const {
    ExportOptions options;
    options.checkpoint = checkpoint_;
    options.out = folder_.path() / "out";
    options.image_height_pixels = kPicture.height;
    options.image_width_pixels = kPicture.width;
    options.text_in_f32 = true;
    options.input.on_warning = [](const std::string& warning) { ADD_FAILURE() << warning; };
    const ExportResult result = export_checkpoint(options);
    EXPECT_EQ(result.artifacts.size(), 3U);
    EXPECT_EQ(result.artifacts.front().file, "my_toy_vision_20x12_fp32.onnx");
    return options.out;
  }

  test::TemporaryFolder folder_;
  const fs::path checkpoint_ = folder_.path() / "My Toy";
  const test::ToyWeights weights_ = test::write_toy_checkpoint(checkpoint_);
};

TEST_F(ToyFamilyTest, IsFoundByItsModelType) {
  EXPECT_EQ(read_model(checkpoint_ / "config.json")->family().name(), "Toy-VL");
  EXPECT_EQ(family_in(test::demo_checkpoint()).name(), "Qwen2.5-VL");
  EXPECT_EQ(family_in(folder_.path()).name(), "Qwen2.5-VL");
}

TEST_F(ToyFamilyTest, IsExportedAndVerified) {
  VerifyOptions options;
  options.folder = exported();
  options.checkpoint = checkpoint_;
  const Certificate certificate = verify_folder(options);
  const Check* const failure = certificate.first_failure();
  EXPECT_TRUE(failure == nullptr) << failure->name << ": " << failure->detail;
  std::size_t passed = 0;
  for (const Check& check : certificate.checks) passed += check.status == CheckStatus::passed ? 1U : 0U;
  EXPECT_EQ(passed, certificate.checks.size());
  EXPECT_GE(passed, 15U);
}

TEST_F(ToyFamilyTest, AnswersAsItsWeightsSay) {
  const fs::path out = exported();
  const fs::path picture = test::data("images/photo-84x28.png");
  EngineOptions options;
  options.folder = out;
  Engine engine(options);
  Question question;
  question.pictures = {picture};
  question.prompt = "What is this?";
  question.max_new_tokens = 5;
  const Answer answer = engine.ask(question);

  const ModelFolder folder(out);
  const Tokenizer tokenizer = Tokenizer::load(folder.tokenizer());
  const std::int64_t image_token = folder.model().facts().image_token_id;
  std::vector<std::int64_t> ids(15, image_token);
  const std::vector<TokenId> text = tokenizer.encode("What is this?\n");
  ids.insert(ids.end(), text.begin(), text.end());
  EXPECT_EQ(answer.prompt_tokens, static_cast<std::int64_t>(ids.size()));
  EXPECT_EQ(answer.image_tokens, 15);
  const Tensor pixels = fixed_size_pixels(read_image(picture), kPicture, folder.preprocessor());
  const auto features = weights_.features(pixels.as<float>(), kPicture.height, kPicture.width);
  std::vector<std::int64_t> expected = weights_.answer(ids, image_token, features, 5);
  if (const auto end = std::ranges::find(expected, 0); end != expected.end())
    expected.erase(end, expected.end());
  EXPECT_FALSE(expected.empty());
  EXPECT_EQ(answer.ids, expected);
}

}  // namespace
}  // namespace qvl
