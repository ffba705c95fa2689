#include "folder/model_folder.h"

#include <gtest/gtest.h>

#include "qvl/error.h"
#include "qvl/export.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

fs::path exported(const fs::path& folder, std::vector<std::string> only = {}) {
  ExportOptions options;
  options.checkpoint = test::data("checkpoints/tiny-tied");
  options.out = folder;
  options.only = std::move(only);
  options.image_width_pixels = 56;
  options.image_height_pixels = 28;
  export_checkpoint(options);
  return folder;
}

TEST(ModelFolder, ReadsWhatExportWrote) {
  const test::TemporaryFolder folder;
  const ModelFolder model(exported(folder.path()));
  EXPECT_EQ(model.picture_size(), (PixelSize{28, 56}));
  EXPECT_TRUE(fs::is_regular_file(model.artifact("text_with_image")));
  EXPECT_TRUE(model.has("vision"));
  EXPECT_FALSE(model.has("audio"));
}

TEST(ModelFolder, SaysHowToMakeWhatIsMissing) {
  const test::TemporaryFolder folder;
  const ModelFolder model(exported(folder.path(), {"text"}));
  try {
    (void)model.picture_size();
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("--only vision"), std::string::npos) << error.what();
  }
}

TEST(ModelFolder, RefusesBrokenFolders) {
  const test::TemporaryFolder folder;
  EXPECT_THROW(ModelFolder(folder.path()), InputError);
  EXPECT_THROW(ModelFolder("/none"), InputError);
  exported(folder.path());
  const fs::path manifest = folder.path() / "manifest.json";
  const std::string good = test::read_file(manifest);
  for (const std::string bad :
       {"", "[]", "{}", R"({"format": 1, "artifacts": [1]})",
        R"({"format": 1, "artifacts": [{"artifact": "text"}]})",
        R"({"format": 1, "artifacts": [{"artifact": "text", "file": "../x.onnx"}]})",
        R"({"format": 1, "artifacts": [{"artifact": "text", "file": "none.onnx"}]})"}) {
    test::write_file(manifest, bad);
    EXPECT_THROW(ModelFolder(folder.path()), InputError) << bad;
  }
  std::string newer = good;
  newer.replace(newer.find("\"format\": 1"), 11, "\"format\": 99");
  test::write_file(manifest, newer);
  EXPECT_THROW(ModelFolder(folder.path()), InputError);
  test::write_file(manifest, good);
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    if (!entry.path().string().ends_with("vision_56x28_fp32.onnx_data")) continue;
    fs::rename(entry.path(), folder.path() / "moved");
    EXPECT_THROW(ModelFolder(folder.path()), InputError);
    fs::rename(folder.path() / "moved", entry.path());
    break;
  }
  EXPECT_NO_THROW(ModelFolder(folder.path()));
  fs::remove(folder.path() / "config.json");
  EXPECT_THROW(ModelFolder(folder.path()), InputError);
}

}  // namespace
}  // namespace qvl
