// The tokenizer's and the picture's bench.
#include <gtest/gtest.h>

#include "bench/image_bench.h"
#include "bench/tokenizer_bench.h"
#include "qvl/error.h"
#include "support/test_data.h"
#include "text/tokenizer.h"

namespace qvl {
namespace {

constexpr RunOptions kQuick{.warm_up = 0, .runs = 1, .least_seconds = 0};

std::filesystem::path tokenizer_json() { return test::demo_checkpoint() / "tokenizer.json"; }

TEST(TokenizerBench, CountsTheTextAndWhatComesBack) {
  const test::TemporaryFolder folder;
  const std::string text = "There are three shapes: a small yellow square.\n";
  test::write_file(folder.path() / "text", text);
  const TokenizerBenchResult result = bench_tokenizer({.tokenizer_json = tokenizer_json(),
                                                       .text = folder.path() / "text",
                                                       .runs = kQuick,
                                                       .limits_seconds = 0});
  EXPECT_FALSE(result.made_text);
  EXPECT_EQ(result.text_bytes, text.size());
  EXPECT_EQ(result.decoded_bytes, text.size());
  EXPECT_EQ(result.tokens, Tokenizer::load(tokenizer_json()).encode(text).size());
  EXPECT_GT(result.encode_seconds.median(), 0);
  EXPECT_GT(result.decode_seconds.median(), 0);
}

TEST(TokenizerBench, RefusesWhatIsNotThere) {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "empty", "");
  TokenizerBenchOptions options{
      .tokenizer_json = tokenizer_json(), .text = folder.path() / "empty", .runs = kQuick};
  EXPECT_THROW((void)bench_tokenizer(options), InputError);
  options.text = folder.path() / "none";
  EXPECT_THROW((void)bench_tokenizer(options), InputError);
  options.tokenizer_json = folder.path() / "none";
  options.text = "";
  EXPECT_THROW((void)bench_tokenizer(options), InputError);
}

TEST(SampleText, IsTheSameEveryTimeAndVaries) {
  const Tokenizer tokenizer = Tokenizer::load(tokenizer_json());
  const std::string text = sample_text(tokenizer, 20'000);
  EXPECT_EQ(sample_text(tokenizer, 20'000), text);
  EXPECT_GE(text.size(), 20'000U);
  EXPECT_LT(text.size(), 21'000U);
  EXPECT_TRUE(std::string_view(sample_text(tokenizer, 40'000)).starts_with(text));
  EXPECT_EQ(text.find(text.substr(0, 200), 1), std::string::npos);
}

TEST(ImageBench, GoesAllTheWay) {
  const ImageBenchResult made = bench_image({.size = {28, 56}, .runs = kQuick, .limits_seconds = 0});
  EXPECT_EQ(made.picture, "");
  EXPECT_EQ(made.source, (PixelSize{1200, 1600}));
  EXPECT_EQ(made.file_bytes, 54U + 1200 * 1600 * 3);
  ASSERT_EQ(made.steps.size(), 5U);
  // Bytes of the picture, of its numbers and of its patches (two frames of the numbers).
  const double numbers = 28 * 56 * 3 * 4;
  EXPECT_EQ(made.steps[1].moved_bytes, 1200 * 1600 * 3 + 28 * 56 * 3);
  EXPECT_EQ(made.steps[2].moved_bytes, 28 * 56 * 3 + numbers);
  EXPECT_EQ(made.steps[3].moved_bytes, 3 * numbers);
  EXPECT_EQ(made.steps[4].name, "all");
  EXPECT_EQ(made.steps[4].moved_bytes, made.steps[0].moved_bytes + made.steps[1].moved_bytes +
                                           made.steps[2].moved_bytes + made.steps[3].moved_bytes);
  const ImageBenchResult upright = bench_image({.picture = test::data("picture-files/exif-6.jpg"),
                                                .size = {28, 28},
                                                .runs = kQuick,
                                                .limits_seconds = 0});
  EXPECT_EQ(upright.picture, "exif-6.jpg");
  EXPECT_EQ(upright.source, (PixelSize{200, 108}));
}

TEST(ImageBench, RefusesWhatMakesNoSense) {
  for (const PixelSize size : {PixelSize{0, 28}, PixelSize{28, 30}, PixelSize{-28, 28},
                               PixelSize{2'800'000, 28}, PixelSize{28'000, 28'000}}) {
    EXPECT_THROW((void)bench_image({.size = size, .runs = kQuick}), UsageError);
  }
  EXPECT_THROW((void)bench_image({.picture = "/none.png", .runs = kQuick}), InputError);
  EXPECT_THROW((void)bench_image({.picture = tokenizer_json(), .runs = kQuick}), InputError);
}

}  // namespace
}  // namespace qvl
