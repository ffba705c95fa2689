// Nothing is overwritten that was not asked for.
#include <gtest/gtest.h>

#include <map>

#include "cli/program.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

// Every file with its bytes.
std::map<std::string, std::string> contents_of(const fs::path& folder) {
  std::map<std::string, std::string> contents;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) contents[entry.path().string()] = test::read_file(entry.path());
  }
  return contents;
}

// Folders of each kind that commands write, and one of somebody else.
class OutputPlace : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new test::TemporaryFolder;
    const auto made = test::qvl({"export", test::demo_checkpoint(), "--out", place("model"), "--only",
                                 "vision", "--image-size", "56", "--quiet"});
    ASSERT_EQ(made.exit_code, 0) << made.err;
    fs::copy(test::data("checkpoints/tiny-tied"), place("checkpoint"));
    fs::create_directory(place("report"));
    test::write_file(place("report") + "/measurements.sqlite", "measured");
    fs::create_directory(place("other"));
    test::write_file(place("other") + "/notes.txt", "mine");
    test::write_file(place("file"), "a file");
  }
  static void TearDownTestSuite() {
    delete shared_;
    shared_ = nullptr;
  }
  static std::string place(const std::string& name) { return (shared_->path() / name).string(); }

  static test::TemporaryFolder* shared_;
};

test::TemporaryFolder* OutputPlace::shared_ = nullptr;

TEST_F(OutputPlace, FoldersOfOtherKindsAreRefusedAndStayAsTheyAre) {
  const std::string demo = test::demo_checkpoint();
  const std::string chats = test::data("shapes-data/calibration.jsonl");
  struct Case {
    std::vector<std::string> command;
    std::string own;  // the kind that is not refused
  };
  const auto before = contents_of(shared_->path());
  for (const Case& c :
       std::vector<Case>{{{"export", demo, "--out"}, "model"},
                         {{"export", demo, "--dry-run", "--out"}, "model"},
                         {{"quantize", place("model"), "--format", "int8", "--out"}, "model"},
                         {{"synth", "--preset", "tiny", "--out"}, "checkpoint"},
                         {{"sensitivity", place("model"), "--data", chats, "--out"}, "report"},
                         {{"sensitivity", "merge"}, "report"}}) {
    const std::vector<std::pair<std::string, std::string>> kinds{{"model", "a model folder of qvl export"},
                                                                 {"checkpoint", "a checkpoint ("},
                                                                 {"report", "a report of qvl"},
                                                                 {"other", "other files (notes.txt)"},
                                                                 {"file", ""},
                                                                 {"file/below", ""}};
    for (const auto& [kind, words] : kinds) {
      const bool mixes = kind == "other" && c.own == "report";  // reports go beside other files
      if (kind == c.own || mixes) continue;
      std::vector<std::string> arguments = c.command;
      arguments.push_back(place(kind));
      if (c.command[1] == "merge") arguments.push_back(place("report"));
      const auto result = test::qvl(arguments);
      EXPECT_EQ(result.exit_code, 3) << c.command[0] << " into " << kind << ": " << result.err;
      const std::string expected = words.empty() ? " cannot be a folder: " + place("file") + " is a file"
                                                 : place(kind) + " holds " + words;
      EXPECT_NE(result.err.find(expected), std::string::npos) << c.command[0] << ": " << result.err;
    }
  }
  EXPECT_EQ(contents_of(shared_->path()), before);
}

TEST_F(OutputPlace, ForceGoesBesideOtherFilesButIntoNoOtherKind) {
  const auto synth = [](const std::string& folder) {
    return test::qvl({"synth", "--preset", "tiny", "--out", folder, "--force", "--quiet"});
  };
  const auto before = contents_of(place("model"));
  EXPECT_EQ(synth(place("model")).exit_code, 3);
  EXPECT_EQ(contents_of(place("model")), before);
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "notes.txt", "mine");
  EXPECT_EQ(synth(folder.path()).exit_code, 0);
  EXPECT_EQ(test::read_file(folder.path() / "notes.txt"), "mine");
  // The checkpoint that is exported is no place for the export.
  const auto itself = test::qvl({"export", folder.path(), "--out", folder.path(), "--force", "--quiet"});
  EXPECT_EQ(itself.exit_code, 3);
  EXPECT_NE(itself.err.find("holds a checkpoint ("), std::string::npos) << itself.err;
}

TEST_F(OutputPlace, FilesThatAreNoResultsAreRefusedAndStayAsTheyAre) {
  const test::TemporaryFolder folder;
  const fs::path picture = folder.path() / "shapes.jpg";
  fs::copy(test::demo_checkpoint().parent_path() / "pictures" / "shapes.jpg", picture);
  fs::create_symlink(picture, folder.path() / "link.safetensors");
  fs::create_hard_link(picture, folder.path() / "twin.safetensors");
  test::write_file(folder.path() / "notes.txt", "mine");
  const fs::path checkpoint = folder.path() / "checkpoint";
  fs::copy(test::demo_checkpoint(), checkpoint);
  const auto before = contents_of(folder.path());
  const auto preprocess = [&](const fs::path& out) {
    return test::qvl({"preprocess", checkpoint, picture, "--fixed", "56", "--out", out});
  };
  for (const char* name : {"shapes.jpg", "link.safetensors", "twin.safetensors"}) {
    const auto result = preprocess(folder.path() / name);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_NE(result.err.find("is an input itself"), std::string::npos) << result.err;
  }
  for (const char* name : {"notes.txt", "checkpoint/model.safetensors", "checkpoint/config.json"}) {
    const auto result = preprocess(folder.path() / name);
    EXPECT_EQ(result.exit_code, 3);
    EXPECT_NE(result.err.find("is there and was not written by this command"), std::string::npos)
        << result.err;
  }
  EXPECT_EQ(contents_of(folder.path()), before);
  for (int run = 0; run < 2; ++run)  // the second replaces the first
    EXPECT_EQ(preprocess(folder.path() / "pixels.safetensors").exit_code, 0);
}

TEST_F(OutputPlace, InferWritesOverNothingButResults) {
  const test::TemporaryFolder folder;
  const auto exported = test::qvl(
      {"export", test::demo_checkpoint(), "--out", folder.path() / "m", "--only", "text", "--quiet"});
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  const fs::path model = folder.path() / "m" / "shapes_vl_text_fp16.onnx";
  const fs::path inputs = folder.path() / "ids.npz";
  fs::copy(test::data("named-tensors/ids.npz"), inputs);
  test::write_file(folder.path() / "notes.txt", "mine");
  const auto before = contents_of(folder.path());
  const auto infer = [&](const fs::path& out) {
    return test::qvl({"infer", model, "--inputs", inputs, "--outputs", out});
  };
  EXPECT_EQ(infer(model).exit_code, 2);
  EXPECT_EQ(infer(inputs).exit_code, 2);
  EXPECT_EQ(infer(folder.path() / "notes.txt").exit_code, 3);
  EXPECT_EQ(infer(model.string() + "_data").exit_code, 3);
  const auto npz = infer(folder.path() / "out.npz");
  EXPECT_EQ(npz.exit_code, 2);
  EXPECT_NE(npz.err.find("safetensors is what is written"), std::string::npos) << npz.err;
  EXPECT_EQ(contents_of(folder.path()), before);
  for (int run = 0; run < 2; ++run) {
    const auto result = infer(folder.path() / "out.safetensors");
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.out, "logits F16 [1, 4, 800]\n");
  }
}

}  // namespace
}  // namespace qvl
