#include "models/model_checkpoint.h"

#include <gtest/gtest.h>

#include "qvl/error.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

// Tensors "U8" [2], one after the other.
std::string tensors(const std::vector<std::string>& names, const std::string& data) {
  std::string header = "{";
  for (std::size_t i = 0; i < names.size(); ++i) {
    header += (i == 0 ? "" : ",") + ("\"" + names[i]) + R"(":{"dtype":"U8","shape":[2],"data_offsets":[)" +
              std::to_string(2 * i) + "," + std::to_string(2 * i + 2) + "]}";
  }
  header += "}";
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(header.size() >> (8 * i) & 0xffU);
  return bytes + header + data;
}

class ModelCheckpointFolder : public testing::Test {
 protected:
  ModelCheckpointFolder() {
    fs::copy_file(test::data("checkpoints/tiny-tied/config.json"), folder_.path() / "config.json");
  }
  void write(const std::string& file, const std::string& text) const {
    test::write_file(folder_.path() / file, text);
  }
  [[nodiscard]] ModelCheckpoint open() const { return ModelCheckpoint::open(folder_.path()); }
  [[nodiscard]] std::string error() const {
    try {
      (void)open();
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  }

  test::TemporaryFolder folder_;
};

TEST_F(ModelCheckpointFolder, NeedsAConfig) {
  EXPECT_NE(error().find("neither model.safetensors nor"), std::string::npos) << error();
  write("config.json", "{");
  EXPECT_NE(error().find("not valid JSON"), std::string::npos) << error();
  fs::remove(folder_.path() / "config.json");
  EXPECT_NE(error().find("no config.json in " + folder_.path().string()), std::string::npos) << error();
  EXPECT_THROW((void)ModelCheckpoint::open("/none"), InputError);
}

// What `git clone` leaves where git-lfs is not installed.
TEST_F(ModelCheckpointFolder, NamesAGitLfsPointer) {
  write("config.json",
        "version https://git-lfs.github.com/spec/v1\noid sha256:" + std::string(64, 'a') + "\nsize 1508\n");
  EXPECT_NE(error().find((folder_.path() / "config.json").string() +
                         " is a git-lfs pointer, not the file itself: run `git lfs pull`"),
            std::string::npos)
      << error();
}

// A head of its own although the config ties it: a fine-tune that trained it (transformers 5 does not tie).
TEST_F(ModelCheckpointFolder, ATiedHeadIsTiedOnlyWhereTheTensorsAgree) {
  const std::vector<std::string> both{"lm_head.weight", "model.embed_tokens.weight"};
  write("model.safetensors", tensors(both, "abab"));
  EXPECT_TRUE(open().model->facts().tied_head);
  EXPECT_TRUE(open().notices.empty());
  write("model.safetensors", tensors(both, "abac"));
  EXPECT_FALSE(open().model->facts().tied_head);
  ASSERT_EQ(open().notices.size(), 1U);
  EXPECT_NE(open().notices[0].find("the stored lm_head.weight is another one than model.embed_tokens"),
            std::string::npos);
  write("model.safetensors", tensors({"lm_head.weight"}, "ab"));
  EXPECT_TRUE(open().model->facts().tied_head);
  EXPECT_EQ(open().files.names(), std::vector<std::string>{"model.embed_tokens.weight"});
}

}  // namespace
}  // namespace qvl
