#include "folder/artifact_names.h"

#include <gtest/gtest.h>

#include "support/test_data.h"

namespace qvl {
namespace {

TEST(ArtifactNames, StemIsThePublishedSizeOrTheFolder) {
  const auto preset = [](const std::string& name) { return read_model_config(test::preset_config(name)); };
  EXPECT_EQ(stem_of("whatever", preset("3b")), "qwen2_5_vl_3b");
  EXPECT_EQ(stem_of("whatever", preset("3b-finetune")), "qwen2_5_vl_3b");
  EXPECT_EQ(stem_of("whatever", preset("7b")), "qwen2_5_vl_7b");
  EXPECT_EQ(stem_of("whatever", preset("32b")), "qwen2_5_vl_32b");
  EXPECT_EQ(stem_of("whatever", preset("72b")), "qwen2_5_vl_72b");
  const ModelConfig tiny = read_model_config(test::data("checkpoints/tiny-tied/config.json"));
  EXPECT_EQ(stem_of("My Model-v1.5", tiny), "my_model_v1_5");
  EXPECT_EQ(stem_of("tiny-tied", tiny), "tiny_tied");
}

TEST(ArtifactNames, FilesAreTheContracts) {
  ExportOptions options;
  EXPECT_EQ(file_name(Artifact::vision, "qwen2_5_vl_3b", options), "qwen2_5_vl_3b_vision_672_fp32.onnx");
  EXPECT_EQ(file_name(Artifact::text, "qwen2_5_vl_3b", options), "qwen2_5_vl_3b_text_fp16.onnx");
  EXPECT_EQ(file_name(Artifact::text_with_image, "qwen2_5_vl_3b", options),
            "qwen2_5_vl_3b_text_with_image_fp16.onnx");
  EXPECT_EQ(data_file_name("a.onnx"), "a.onnx_data");
  options.image_width_pixels = 252;
  options.image_height_pixels = 420;
  options.text_in_f32 = true;
  EXPECT_EQ(file_name(Artifact::vision, "m", options), "m_vision_252x420_fp32.onnx");
  EXPECT_EQ(file_name(Artifact::text, "m", options), "m_text_fp32.onnx");
}

}  // namespace
}  // namespace qvl
