#include "checkpoint/preprocessor_config.h"

#include <gtest/gtest.h>

#include "error_text.h"
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
  // That of tiny-tied is the published one, which is also what an empty file means.
  EXPECT_EQ(read_preprocessor_config(test::data("checkpoints/tiny-tied")), PreprocessorConfig());
  EXPECT_EQ(parse("{}"), PreprocessorConfig());
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

TEST(PreprocessorConfig, ReadsProcessorConfigJson) {
  const test::TemporaryFolder folder;
  EXPECT_TRUE(contains(input_error([&] { (void)read_preprocessor_config(folder.path()); }),
                       "no preprocessor_config.json in"));
  test::write_file(folder.path() / "processor_config.json", R"({"image_processor": {"max_pixels": 5000}})");
  EXPECT_EQ(read_preprocessor_config(folder.path()).max_pixels, 5000);
  test::write_file(folder.path() / "preprocessor_config.json", R"({"max_pixels": 6000})");
  EXPECT_EQ(read_preprocessor_config(folder.path()).max_pixels, 6000);
}

TEST(PreprocessorConfig, RefusesNonsense) {
  EXPECT_TRUE(contains(error_of(R"({"min_pixels": 500, "max_pixels": 400})"),
                       "min_pixels is 500; at most max_pixels"));
  EXPECT_TRUE(contains(error_of(R"({"min_pixels": 0})"), "min_pixels is 0"));
  EXPECT_TRUE(contains(error_of(R"({"size": {"longest_edge": "x"}})"), "size.longest_edge is \"x\""));
  EXPECT_TRUE(contains(error_of(R"({"size": 5})"), "size is 5; an object is expected"));
  EXPECT_TRUE(contains(error_of(R"({"patch_size": 0})"), "patch_size is 0"));
  EXPECT_TRUE(contains(error_of(R"({"merge_size": 1.5})"), "merge_size is 1.5"));
  EXPECT_TRUE(contains(error_of(R"({"temporal_patch_size": 1e9})"), "temporal_patch_size is"));
  EXPECT_TRUE(contains(error_of(R"({"image_mean": [1, 2]})"), "image_mean is [1,2]; three numbers"));
  EXPECT_TRUE(
      contains(error_of(R"({"image_std": [1, 2, 0]})"), "image_std is [1,2,0]; three positive numbers"));
  EXPECT_TRUE(contains(error_of(R"({"image_std": 1})"), "image_std is 1"));
  EXPECT_TRUE(contains(error_of(R"({"do_resize": false})"), "do_resize is false"));
  EXPECT_TRUE(contains(error_of(R"({"do_rescale": false})"), "do_rescale is false"));
  EXPECT_TRUE(contains(error_of(R"({"do_normalize": false})"), "do_normalize is false"));
  EXPECT_TRUE(contains(error_of(R"({"resample": 2})"), "resample is 2"));
  EXPECT_TRUE(contains(error_of(R"({"rescale_factor": 1})"), "rescale_factor is 1"));
  EXPECT_TRUE(contains(error_of("7"), "an object is expected"));
}

}  // namespace
}  // namespace qvl
