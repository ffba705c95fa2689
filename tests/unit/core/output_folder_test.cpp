#include "core/output_folder.h"

#include <gtest/gtest.h>

#include "qvl/error.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

using Files = std::vector<std::string>;

struct KindCase {
  Files files;
  FolderKind kind;
  std::string words;
};

void fill_folder(const fs::path& folder, const Files& files) {
  for (const std::string& file : files) {
    const bool is_manifest = file == "manifest.json";
    test::write_file(folder / file,
                     is_manifest ? R"({"format": 2, "fingerprint": "0", "artifacts": []})" : "something");
  }
}

const std::vector<KindCase>& kind_cases() {
  static const std::vector<KindCase> cases{
      {{}, FolderKind::empty, "nothing"},
      {{".hidden"}, FolderKind::empty, "nothing"},
      {{"config.json", "model.safetensors"},
       FolderKind::checkpoint,
       "a checkpoint (config.json, model.safetensors)"},
      {{"config.json", "pytorch_model.bin"},
       FolderKind::checkpoint,
       "a checkpoint (config.json, pytorch_model.bin)"},
      {{"000.safetensors"}, FolderKind::checkpoint, "files of weights or tensors (000.safetensors)"},
      {{"manifest.json", "config.json", "m.onnx"}, FolderKind::model, "a model folder of qvl export"},
      {{"measurements.sqlite"}, FolderKind::report, "a report of qvl sensitivity"},
      {{"report.html", "report.json"}, FolderKind::report, "a report of qvl sensitivity"},
      {{"m.onnx", "m.onnx.quantization.json"}, FolderKind::quantized, "ONNX files of qvl quantize"},
      {{"m.onnx", "a.txt"}, FolderKind::onnx, "ONNX files (a.txt, m.onnx)"},
      {{"d", "c", "b", "a"}, FolderKind::other, "other files (a, b, c, …)"}};
  return cases;
}

TEST(OutputFolder, KnowsWhatIsThere) {
  for (const KindCase& c : kind_cases()) {
    const test::TemporaryFolder folder;
    fs::create_directory(folder.path() / "below");  // folders do not count
    fill_folder(folder.path(), c.files);
    const FolderContents found = folder_contents(folder.path());
    EXPECT_EQ(found.kind, c.kind) << c.words;
    EXPECT_EQ(found.words, c.words);
  }
  EXPECT_EQ(folder_contents("/none/such").kind, FolderKind::empty);
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "manifest.json", "{\"name\": \"a web page\"}");
  EXPECT_EQ(folder_contents(folder.path()).kind, FolderKind::other);
}

// Every kind into every other: its own and empty ones only; files of no kind with force.
TEST(OutputFolder, KindsAreNotMixed) {
  for (const KindCase& c : kind_cases()) {
    const test::TemporaryFolder folder;
    fill_folder(folder.path(), c.files);
    for (const FolderKind own :
         {FolderKind::checkpoint, FolderKind::model, FolderKind::report, FolderKind::quantized}) {
      for (const bool force : {false, true}) {
        const bool none = c.kind == FolderKind::empty || c.kind == own;
        const bool forced = force && (c.kind == FolderKind::other || c.kind == FolderKind::onnx);
        if (none || forced) {
          EXPECT_NO_THROW(require_output_folder(folder.path(), own, force)) << c.words;
          continue;
        }
        try {
          require_output_folder(folder.path(), own, force);
          ADD_FAILURE() << c.words << " was taken";
        } catch (const InputError& error) {
          EXPECT_NE(std::string(error.what()).find(" holds " + c.words + "; choose a folder"),
                    std::string::npos)
              << error.what();
        }
      }
    }
  }
}

TEST(OutputFolder, PlacesThatCannotBeFolders) {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "file", "x");
  fs::create_symlink("nothing", folder.path() / "link");
  fs::create_directory_symlink(folder.path(), folder.path() / "good");
  const auto refused = [](const fs::path& place) -> std::string {
    try {
      require_output_folder(place, FolderKind::report, true);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  for (const fs::path& place : {folder.path() / "file", folder.path() / "file" / "a" / "b"}) {
    EXPECT_EQ(refused(place), place.string() + " cannot be a folder: " + (folder.path() / "file").string() +
                                  " is a file; name a folder to write to");
  }
  EXPECT_NE(refused(folder.path() / "link").find(" is a link to nothing;"), std::string::npos);
  EXPECT_NE(refused("/dev/null/x").find("/dev/null is a file;"), std::string::npos);
  EXPECT_EQ(refused(folder.path() / "new" / "and" / "deep"), "");
  fs::remove(folder.path() / "file");
  EXPECT_EQ(refused(folder.path() / "good" / "new"), "");
  EXPECT_FALSE(fs::exists(folder.path() / "new"));  // to ask makes nothing
}

TEST(OutputFolder, IsMadeWithItsParents) {
  const test::TemporaryFolder folder;
  make_output_folder(folder.path() / "a" / "b");
  make_output_folder(folder.path() / "a" / "b");
  EXPECT_TRUE(fs::is_directory(folder.path() / "a" / "b"));
  test::write_file(folder.path() / "file", "x");
  try {
    make_output_folder(folder.path() / "file" / "b");
    ADD_FAILURE() << "a file became a folder";
  } catch (const InputError& error) {
    EXPECT_EQ(std::string(error.what()), "cannot write " + (folder.path() / "file" / "b").string() +
                                             ": Not a directory; choose a place that can be written");
  }
}

}  // namespace
}  // namespace qvl
