#include "checkpoint/preprocessor_config.h"

#include <gtest/gtest.h>

#include "support/error_text.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using test::contains;
using test::input_error;

PreprocessorConfig parse(std::string_view json) {
  return parse_preprocessor_config(json, "preprocessor_config.json");
}
std::string error_of(std::string_view json) {
  return input_error([&] { (void)parse(json); });
}

TEST(PreprocessorConfig, ReadsTheCheckpoints) {
  // That of tiny-tied is the published one. A file that says nothing means the reference class's limits.
  EXPECT_EQ(read_preprocessor_config(test::data("checkpoints/tiny-tied")).max_pixels, 12845056);
  EXPECT_EQ(parse("{}"), PreprocessorConfig());
  EXPECT_EQ(parse("{}").min_pixels, 3136);
  EXPECT_EQ(parse("{}").max_pixels, 1003520);
  EXPECT_EQ(read_preprocessor_config(test::demo_checkpoint()).max_pixels, 451584);
}

TEST(PreprocessorConfig, ReadsEveryField) {
  const PreprocessorConfig config = parse(
      R"({"min_pixels": 100, "max_pixels": 200, "patch_size": 16, "temporal_patch_size": 1, "merge_size": 4,
                "image_mean": [0, 0.25, 0.5], "image_std": [1, 2, 3.5], "do_resize": true, "resample": 3,
                "rescale_factor": 0.00392156862745098, "do_normalize": null})");
  EXPECT_EQ(config.min_pixels, 100);
  EXPECT_EQ(config.max_pixels, 200);
  EXPECT_EQ(config.patch_size, 16);
  EXPECT_EQ(config.temporal_patch_size, 1);
  EXPECT_EQ(config.merge_size, 4);
  EXPECT_EQ(config.image_mean, (std::array<double, 3>{0, 0.25, 0.5}));
  EXPECT_EQ(config.image_std, (std::array<double, 3>{1, 2, 3.5}));
}

TEST(PreprocessorConfig, ReadsTheNewerSize) {
  const PreprocessorConfig config = parse(R"({"size": {"shortest_edge": 784, "longest_edge": 1003520}})");
  EXPECT_EQ(config.min_pixels, 784);
  EXPECT_EQ(config.max_pixels, 1003520);
  const PreprocessorConfig both = parse(
      R"({"min_pixels": 900, "max_pixels": null, "size": {"shortest_edge": 784, "longest_edge": 1003520}})");
  EXPECT_EQ(both.min_pixels, 900);
  EXPECT_EQ(both.max_pixels, 1003520);
}

// Each of these is what Qwen2VLImageProcessor of transformers 5.24 makes of the file.
TEST(PreprocessorConfig, LimitsOfEveryForm) {
  const auto limits = [](std::string_view json) {
    const PreprocessorConfig config = parse(json);
    return std::pair{config.min_pixels, config.max_pixels};
  };
  using Pair = std::pair<std::int64_t, std::int64_t>;
  EXPECT_EQ(limits(R"({"size": null})"), Pair(3136, 1003520));
  EXPECT_EQ(limits(R"({"max_pixels": 50176})"), Pair(3136, 50176));
  EXPECT_EQ(limits(R"({"min_pixels": 6272})"), Pair(6272, 1003520));
  EXPECT_EQ(limits(R"({"max_pixels": 50176.0})"), Pair(3136, 50176));
  EXPECT_EQ(
      limits(
          R"({"min_pixels": null, "max_pixels": null, "size": {"shortest_edge": 784, "longest_edge": 50176}})"),
      Pair(784, 50176));
  EXPECT_EQ(limits(R"({"size": {"longest_edge": 50176}, "min_pixels": 6272})"), Pair(6272, 50176));
  EXPECT_EQ(limits(R"({"size": {"shortest_edge": 784}, "max_pixels": 50176})"), Pair(784, 50176));
  EXPECT_EQ(limits(R"({"size": {"min_pixels": 1, "max_pixels": 2}, "min_pixels": 784, "max_pixels": 50176})"),
            Pair(784, 50176));
}

// The reference refuses each of these when it is read or when the first picture is resized.
TEST(PreprocessorConfig, RefusesSizesThatSayNoLimits) {
  for (const auto& [json, message] : std::vector<std::pair<const char*, const char*>>{
           {R"({"size": {"min_pixels": 3136, "max_pixels": 50176}})", "size has \"max_pixels\""},
           {R"({"size": {"height": 224, "width": 224}})", "size has \"height\""},
           {R"({"size": {"height": 224, "width": 224}})",
            "size has no shortest_edge, and there is no min_pixels"},
           {R"({"size": {"shortest_edge": 784}})", "size has no longest_edge, and there is no max_pixels"},
           {R"({"size": {"longest_edge": 784}})", "size has no shortest_edge"},
           {R"({"size": {"shortest_edge": 784, "longest_edge": null}})", "size has no longest_edge"},
           {R"({"size": {"shortest_edge": 0, "longest_edge": 5}})", "size.shortest_edge is 0"},
           {R"({"size": {"shortest_edge": 4, "longest_edge": 5, "height": 6}})", "size has \"height\""},
           {R"({"size": {}})", "size has no shortest_edge"},
           {R"({"size": 224})", "size is 224; an object with \"shortest_edge\""},
           {R"({"size": [224, 224]})", "size is a list of 2"},
           {R"({"max_pixels": 50176.5})", "max_pixels is 50176.5"}}) {
    EXPECT_TRUE(contains(error_of(json), message)) << json << "\n" << error_of(json);
  }
}

// (x * factor - mean) / deviation, whatever of it is switched off.
TEST(PreprocessorConfig, ScalesAndNormalisesAsTheFileSays) {
  const auto value = [](std::string_view json, double x) {
    const PreprocessorConfig config = parse(json);
    return (x / 255.0 - config.image_mean[1]) / config.image_std[1];
  };
  EXPECT_NEAR(value(R"({"do_normalize": false})", 51), 0.2, 1e-12);
  EXPECT_NEAR(value(R"({"do_rescale": false, "do_normalize": false})", 51), 51, 1e-9);
  EXPECT_NEAR(value(R"({"do_rescale": false, "image_mean": 127.5, "image_std": 51})", 178.5), 1, 1e-9);
  EXPECT_NEAR(value(R"({"rescale_factor": 0.0078431372549, "image_mean": 1, "image_std": [1, 0.5, 1]})", 255),
              (255 * 0.0078431372549 - 1) / 0.5, 1e-9);
  EXPECT_EQ(parse(R"({"rescale_factor": 0.003921568})"), PreprocessorConfig());
}

TEST(PreprocessorConfig, ReadsProcessorConfigJson) {
  const test::TemporaryFolder folder;
  EXPECT_TRUE(contains(input_error([&] { (void)read_preprocessor_config(folder.path()); }),
                       "no preprocessor_config.json in"));
  test::write_file(folder.path() / "preprocessor_config.json", R"({"max_pixels": 6000})");
  test::write_file(folder.path() / "processor_config.json", R"({"processor_class": "Qwen2_5_VLProcessor"})");
  EXPECT_EQ(read_preprocessor_config(folder.path()).max_pixels, 6000);
  test::write_file(folder.path() / "processor_config.json", R"({"image_processor": {"max_pixels": 5000}})");
  EXPECT_EQ(read_preprocessor_config(folder.path()).max_pixels, 5000);
}

TEST(PreprocessorConfig, RefusesNonsense) {
  EXPECT_TRUE(contains(error_of(R"({"min_pixels": 500, "max_pixels": 400})"),
                       "min_pixels is 500; at most max_pixels"));
  EXPECT_TRUE(contains(error_of(R"({"min_pixels": 0})"), "min_pixels is 0"));
  EXPECT_TRUE(contains(error_of(R"({"size": {"longest_edge": "x"}})"), "size.longest_edge is \"x\""));
  EXPECT_TRUE(contains(error_of(R"({"patch_size": 0})"), "patch_size is 0"));
  EXPECT_TRUE(contains(error_of(R"({"merge_size": 1.5})"), "merge_size is 1.5"));
  EXPECT_TRUE(contains(error_of(R"({"temporal_patch_size": 1e9})"), "temporal_patch_size is"));
  EXPECT_TRUE(contains(error_of(R"({"image_mean": [1, 2]})"), "image_mean is [1,2]; three numbers"));
  EXPECT_TRUE(
      contains(error_of(R"({"image_std": [1, 2, 0]})"), "image_std is [1,2,0]; three positive numbers"));
  EXPECT_TRUE(contains(error_of(R"({"do_resize": false})"), "do_resize is false"));
  EXPECT_TRUE(contains(error_of(R"({"resample": 2})"), "resample is 2"));
  EXPECT_TRUE(contains(error_of(R"({"do_convert_rgb": false})"), "do_convert_rgb is false"));
  EXPECT_TRUE(contains(error_of(R"({"rescale_factor": 0})"), "rescale_factor is 0"));
  EXPECT_TRUE(contains(error_of(R"({"image_std": 0})"), "image_std is 0"));
  EXPECT_TRUE(contains(error_of(R"({"image_processor_type": "CLIPImageProcessor"})"),
                       "image_processor_type is \"CLIPImageProcessor\""));
  EXPECT_TRUE(contains(error_of("7"), "an object is expected"));
}

}  // namespace
}  // namespace qvl
