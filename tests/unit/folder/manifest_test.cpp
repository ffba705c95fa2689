// manifest.json, read whole.
#include "folder/manifest.h"

#include <gtest/gtest.h>

#include <random>

#include "core/json_text.h"
#include "core/sha256.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

const std::string& good_text() {
  static const std::string text = [] {
    const test::TemporaryFolder folder;
    ExportOptions options;
    options.checkpoint = test::data("checkpoints/tiny-sharded");
    options.out = folder.path();
    options.image_width_pixels = 56;
    options.image_height_pixels = 28;
    export_checkpoint(options);
    return test::read_file(folder.path() / "manifest.json");
  }();
  return text;
}

TEST(Manifest, ReadsAllThatIsWritten) {
  const Manifest manifest = parse_manifest(good_text(), "m");
  ASSERT_EQ(manifest.artifacts.size(), 3U);
  EXPECT_EQ(manifest.checkpoint, "tiny-sharded");
  const ManifestArtifact& text = manifest.artifacts[1];
  EXPECT_EQ(text.artifact, "text");
  EXPECT_EQ(text.data_file, "tiny_sharded_text_fp16.onnx_data");
  EXPECT_EQ(text.data_sha256.size(), 64U);
  EXPECT_EQ(text.inputs.at(1).name, "attention_mask");
  ASSERT_TRUE(manifest.files);
  const fs::path config = test::data("checkpoints/tiny-sharded") / "config.json";
  EXPECT_EQ(manifest.files->front().name, "config.json");
  EXPECT_EQ(manifest.files->front().bytes, fs::file_size(config));
  EXPECT_EQ(manifest.files->front().sha256, sha256_of_file(config));
  const test::TemporaryFolder none;
  // Written again it is the same text: nothing was lost or changed.
  EXPECT_EQ(ExistingManifest(none.path()).merged_into(manifest), good_text());
}

TEST(Manifest, SaysWhatIsMissing) {
  const test::TemporaryFolder folder;
  EXPECT_THROW((void)read_manifest(folder.path()), InputError);
  test::write_file(folder.path() / "manifest.json", good_text());
  EXPECT_EQ(read_manifest(folder.path()).artifacts.size(), 3U);
}

TEST(Manifest, RefusesWhatDoesNotBelongThere) {
  struct Case {
    std::string path;
    Json value;  // null: taken out
  };
  const std::string tensor = "/artifacts/0/tensors/0";
  const std::string huge = "18446744073709551616";
  for (const Case& c : std::vector<Case>{{"/format", 2},
                                         {"/format", "1"},
                                         {"/set", "serving"},
                                         {"/stem", "../x"},
                                         {"/checkpoint", 1},
                                         {"/fingerprint", nullptr},
                                         {"/files/0/file", "../config.json"},
                                         {"/files/0/file", "notes.txt"},
                                         {"/files/0/file", "tokenizer.json"},
                                         {"/files/0/bytes", "1"},
                                         {"/files/0/sha256", nullptr},
                                         {"/artifacts", nullptr},
                                         {"/artifacts", 3},
                                         {"/artifacts/0", 3},
                                         {"/artifacts/0/artifact", "audio"},
                                         {"/artifacts/0/artifact", "text"},
                                         {"/artifacts/0/file", "../x.onnx"},
                                         {"/artifacts/0/file", "x"},
                                         {"/artifacts/0/data_file", ".onnx_data"},
                                         {"/artifacts/0/sha256", nullptr},
                                         {"/artifacts/0/bytes", Json::object()},
                                         {"/artifacts/0/opset", -1},
                                         {"/artifacts/0/opset", 17.5},
                                         {"/artifacts/0/image_size", nullptr},
                                         {"/artifacts/0/image_size/width", 0},
                                         {"/artifacts/0/image_size/width", 100'001},
                                         {"/artifacts/0/inputs", Json::object()},
                                         {"/artifacts/0/inputs/0/name", 1},
                                         {"/artifacts/0/inputs/0/shape/0", 1},
                                         {tensor, "x"},
                                         {tensor + "/name", nullptr},
                                         {tensor + "/shape", nullptr},
                                         {tensor + "/shape/0", -1},
                                         {tensor + "/shape/0", parse_json("4611686018427387904", "")},
                                         {tensor + "/offset", -1},
                                         {tensor + "/offset", parse_json(huge, "")},
                                         {tensor + "/bytes", "1"},
                                         {tensor + "/dtype", "F8"},
                                         {tensor + "/source", ""},
                                         {tensor + "/transform", "turn"},
                                         {tensor + "/subnormal", -1},
                                         {tensor + "/max_abs_error", -0.5},
                                         {tensor + "/max_abs_error", "0"}}) {
    Json manifest = parse_json(good_text(), "good");
    const Json::json_pointer at(c.path);
    ASSERT_TRUE(manifest.contains(at)) << c.path;
    if (c.value.is_null()) {
      manifest[at.parent_pointer()].erase(at.back());
    } else {
      manifest[at] = c.value;
    }
    try {
      (void)parse_manifest(manifest.dump(), "the manifest");
      ADD_FAILURE() << c.path << " " << c.value << " was accepted";
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find("the manifest"), std::string::npos) << error.what();
    }
  }
  for (const std::string text : {"", "[]", "{}", "1", "\"x\"", "{\"format\": 1}"})
    EXPECT_THROW((void)parse_manifest(text, "m"), InputError) << text;
}

TEST(Manifest, AnyTextIsAManifestOrAnInputError) {
  std::mt19937 random(5);
  std::size_t refused = 0;
  for (int i = 0; i < 400; ++i) {
    std::string text = good_text();
    for (int k = 0; k < 3; ++k) text[random() % text.size()] = "0123456789{}[],:\"x-"[random() % 19];
    try {
      (void)parse_manifest(text, "m");
    } catch (const InputError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 100U);
}

}  // namespace
}  // namespace qvl
