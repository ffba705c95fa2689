#include "qvl/export.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "core/json_text.h"
#include "core/sha256.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

ExportOptions options_for(const fs::path& out) {
  ExportOptions options;
  options.checkpoint = test::data("checkpoints/tiny-sharded");
  options.out = out;
  return options;
}

std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(Export, WritesTheContractsFiles) {
  const test::TemporaryFolder folder;
  const fs::path out = folder.path() / "out";
  const ExportResult result = export_checkpoint(options_for(out));
  ASSERT_EQ(result.artifacts.size(), 3U);
  for (const std::string name :
       {"tiny_sharded_vision_672_fp32", "tiny_sharded_text_fp16", "tiny_sharded_text_with_image_fp16"}) {
    EXPECT_TRUE(fs::is_regular_file(out / (name + ".onnx"))) << name;
    EXPECT_TRUE(fs::is_regular_file(out / (name + ".onnx_data"))) << name;
  }
  for (const std::string name :
       {"config.json", "tokenizer.json", "generation_config.json", "preprocessor_config.json"}) {
    EXPECT_EQ(test::read_file(out / name), test::read_file(test::data("checkpoints/tiny-sharded") / name))
        << name;
  }
  EXPECT_TRUE(fs::equivalent(out / "tiny_sharded_text_fp16.onnx_data",
                             out / "tiny_sharded_text_with_image_fp16.onnx_data"));
  EXPECT_EQ(fs::hard_link_count(out / "tiny_sharded_text_fp16.onnx_data"), 2U);
}

TEST(Export, CopiesDataWhenAsked) {
  const test::TemporaryFolder folder;
  ExportOptions options = options_for(folder.path());
  options.copy_data = true;
  options.only = {Artifact::text, Artifact::text_with_image};
  export_checkpoint(options);
  const fs::path text = folder.path() / "tiny_sharded_text_fp16.onnx_data";
  EXPECT_EQ(fs::hard_link_count(text), 1U);
  EXPECT_EQ(test::read_file(text),
            test::read_file(folder.path() / "tiny_sharded_text_with_image_fp16.onnx_data"));
}

TEST(Export, ManifestTellsChecksumsAndWhatTheConversionCost) {
  const test::TemporaryFolder folder;
  export_checkpoint(options_for(folder.path()));
  const Json manifest = read_json_file(folder.path() / "manifest.json");
  ASSERT_EQ(manifest["artifacts"].size(), 3U);
  for (const Json& artifact : manifest["artifacts"]) {
    for (const char* key : {"file", "data_file"}) {
      const auto file = artifact[key].get<std::string>();
      EXPECT_EQ(artifact["sha256"][file], sha256_of_file(folder.path() / file));
      EXPECT_EQ(artifact["bytes"][file], fs::file_size(folder.path() / file));
    }
    EXPECT_EQ(artifact["opset"], 17);
  }
  const Json& text = manifest["artifacts"][1];
  EXPECT_EQ(text["artifact"], "text");
  const auto lm_head =
      std::ranges::find_if(text["tensors"], [](const Json& t) { return t["name"] == "lm_head.weight"; });
  ASSERT_NE(lm_head, text["tensors"].end());
  EXPECT_EQ((*lm_head)["source_dtype"], "BF16");
  EXPECT_EQ((*lm_head)["dtype"], "F16");
  EXPECT_EQ((*lm_head)["transform"], "transpose");
  EXPECT_EQ((*lm_head)["shape"], Json::parse("[96, 800]"));
  EXPECT_GE((*lm_head)["subnormal"].get<int>(), 0);
  EXPECT_EQ((*lm_head)["overflowed"], 0);
}

TEST(Export, ATiedHeadIsStoredOnce) {
  const test::TemporaryFolder folder;
  ExportOptions options = options_for(folder.path());
  options.checkpoint = test::data("checkpoints/tiny-tied");
  options.only = {Artifact::text};
  const ExportResult result = export_checkpoint(options);
  const Json manifest = read_json_file(folder.path() / "manifest.json");
  std::size_t tables = 0;
  for (const Json& tensor : manifest["artifacts"][0]["tensors"]) {
    tables +=
        tensor["shape"] == Json::parse("[800, 64]") || tensor["shape"] == Json::parse("[64, 800]") ? 1 : 0;
  }
  EXPECT_EQ(tables, 1U);
}

TEST(Export, RefusesToReplaceWithoutForce) {
  const test::TemporaryFolder folder;
  export_checkpoint(options_for(folder.path()));
  const auto before = test::read_file(folder.path() / "manifest.json");
  ExportOptions again = options_for(folder.path());
  EXPECT_THROW(export_checkpoint(again), InputError);
  again.force = true;
  export_checkpoint(again);
  EXPECT_EQ(test::read_file(folder.path() / "manifest.json"),
            before);  // the same bytes: nothing depends on the moment
}

TEST(Export, AddsArtifactsToAFolder) {
  const test::TemporaryFolder folder;
  ExportOptions vision = options_for(folder.path());
  vision.only = {Artifact::vision};
  export_checkpoint(vision);
  ExportOptions text = options_for(folder.path());
  text.only = {Artifact::text, Artifact::text_with_image};
  export_checkpoint(text);
  std::vector<std::string> names;
  const Json manifest = read_json_file(folder.path() / "manifest.json");
  for (const Json& artifact : manifest["artifacts"]) names.push_back(artifact["artifact"]);
  std::ranges::sort(names);
  EXPECT_EQ(names, (std::vector<std::string>{"text", "text_with_image", "vision"}));
}

TEST(Export, TensorThatOverflowsF16IsSaturatedAndReported) {
  const test::TemporaryFolder folder;
  const fs::path checkpoint = folder.path() / "checkpoint";
  fs::copy(test::data("checkpoints/tiny-tied"), checkpoint);
  std::string bytes = test::read_file(checkpoint / "model.safetensors");
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  const Json json = Json::parse(bytes.substr(8, header));
  std::string name = "model.layers.0.mlp.up_proj.weight";
  if (!json.contains(name)) name = "model.language_model.layers.0.mlp.up_proj.weight";
  const float big[2] = {1e9F, -70000.0F};
  std::memcpy(bytes.data() + 8 + header + json[name]["data_offsets"][0].get<std::size_t>(), big, sizeof big);
  test::write_file(checkpoint / "model.safetensors", bytes);
  ExportOptions options = options_for(folder.path() / "out");
  options.checkpoint = checkpoint;
  options.only = {Artifact::text};
  EXPECT_EQ(export_checkpoint(options).overflowed, 2U);
}

TEST(Export, WhenCancelledLeavesNothing) {
  const test::TemporaryFolder folder;
  CancelToken cancel;
  cancel.cancel();
  ExportOptions options = options_for(folder.path() / "out");
  options.cancel = &cancel;
  EXPECT_THROW(export_checkpoint(options), Interrupted);
  EXPECT_EQ(entries(folder.path()), 0U);
}

TEST(Export, RefusesWrongOptions) {
  const test::TemporaryFolder folder;
  ExportOptions size = options_for(folder.path() / "out");
  size.image_width_pixels = 100;
  EXPECT_THROW(export_checkpoint(size), InputError);
  ExportOptions stem = options_for(folder.path() / "out");
  stem.stem = "../x";
  EXPECT_THROW(export_checkpoint(stem), UsageError);
  EXPECT_EQ(entries(folder.path()), 0U);
}

}  // namespace
}  // namespace qvl
