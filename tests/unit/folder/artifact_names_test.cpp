#include "folder/artifact_names.h"

#include <gtest/gtest.h>

#include "models/family.h"
#include "qvl/error.h"
#include "support/test_data.h"

namespace qvl {
namespace {

TEST(ArtifactNames, StemIsThePublishedSizeOrTheFolder) {
  const auto preset_stem = [](const std::string& name) {
    return stem_of("whatever", *read_model(test::preset_config(name)));
  };
  EXPECT_EQ(preset_stem("3b"), "qwen2_5_vl_3b");
  EXPECT_EQ(preset_stem("3b-finetune"), "qwen2_5_vl_3b");
  EXPECT_EQ(preset_stem("7b"), "qwen2_5_vl_7b");
  EXPECT_EQ(preset_stem("32b"), "qwen2_5_vl_32b");
  EXPECT_EQ(preset_stem("72b"), "qwen2_5_vl_72b");
  const auto tiny = read_model(test::data("checkpoints/tiny-tied/config.json"));
  EXPECT_EQ(stem_of("My Model-v1.5", *tiny), "my_model_v1_5");
  EXPECT_EQ(stem_of("tiny-tied", *tiny), "tiny_tied");
}

TEST(ArtifactNames, FilesAreTheContracts) {
  const auto model = read_model(test::data("checkpoints/tiny-tied/config.json"));
  ArtifactOptions options;
  const auto file = [&](std::string_view name, const std::string& stem) {
    return spec_of(*model, kReferenceSet, name, options).file(stem);
  };
  EXPECT_EQ(file("vision", "qwen2_5_vl_3b"), "qwen2_5_vl_3b_vision_672_fp32.onnx");
  EXPECT_EQ(file("text", "qwen2_5_vl_3b"), "qwen2_5_vl_3b_text_fp16.onnx");
  EXPECT_EQ(file("text_with_image", "qwen2_5_vl_3b"), "qwen2_5_vl_3b_text_with_image_fp16.onnx");
  EXPECT_EQ(data_file_name("a.onnx"), "a.onnx_data");
  options.picture = {420, 252};
  options.text_dtype = DType::f32;
  EXPECT_EQ(file("vision", "m"), "m_vision_252x420_fp32.onnx");
  EXPECT_EQ(file("text", "m"), "m_text_fp32.onnx");
  try {
    (void)spec_of(*model, kReferenceSet, "audio", options);
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "there is no artifact audio; vision, text, text_with_image can be had");
  }
  EXPECT_THROW((void)model->artifacts("serving", options), UsageError);
}

}  // namespace
}  // namespace qvl
