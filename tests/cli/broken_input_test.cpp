// Broken inputs: a clear message, exit code 3 (4 where it is the machine), and nothing written.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <functional>

#include "cli/program.h"
#include "core/json_text.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using test::qvl;

// A copy of a checkpoint to break.
class BrokenCheckpoint : public testing::Test {
 protected:
  BrokenCheckpoint() { use("tiny-tied"); }

  void use(const std::string& name) {
    fs::remove_all(checkpoint_);
    fs::copy(test::data("checkpoints/" + name), checkpoint_);
  }

  void edit_json(const std::string& file, const std::function<void(Json&)>& edit) const {
    Json json = read_json_file(checkpoint_ / file);
    edit(json);
    test::write_file(checkpoint_ / file, json.dump());
  }

  // Rewrites the header of model.safetensors; the tensors' bytes stay.
  void edit_header(const std::function<void(Json&)>& edit) const {
    const std::string bytes = test::read_file(checkpoint_ / "model.safetensors");
    std::uint64_t size = 0;
    std::memcpy(&size, bytes.data(), 8);
    Json json = Json::parse(bytes.substr(8, size));
    edit(json);
    const std::string header = json.dump();
    const std::uint64_t length = header.size();
    std::string out(8, '\0');
    std::memcpy(out.data(), &length, 8);
    test::write_file(checkpoint_ / "model.safetensors", out + header + bytes.substr(8 + size));
  }

  // The export fails with code 3, says all of `words`, and writes nothing.
  void expect_refused(const std::vector<std::string>& words) const {
    const auto result = qvl({"export", checkpoint_, "--out", out_, "--quiet"});
    EXPECT_EQ(result.exit_code, 3) << result.err;
    EXPECT_EQ(result.out, "");
    for (const std::string& word : words)
      EXPECT_NE(result.err.find(word), std::string::npos) << word << " in: " << result.err;
    EXPECT_FALSE(fs::exists(out_));
  }

  const test::TemporaryFolder folder_;
  const fs::path checkpoint_ = folder_.path() / "checkpoint";
  const fs::path out_ = folder_.path() / "out";
};

// The name of a tensor in the file, whichever naming it uses.
std::string in_header(const Json& header, const std::string& hub_name) {
  if (header.contains(hub_name)) return hub_name;
  return "model.language_model." + hub_name.substr(std::strlen("model."));
}

TEST_F(BrokenCheckpoint, TruncatedShard) {
  use("tiny-sharded");
  const fs::path shard = checkpoint_ / "model-00002-of-00003.safetensors";
  fs::resize_file(shard, fs::file_size(shard) - 1000);
  expect_refused({"model-00002-of-00003.safetensors"});
}

TEST_F(BrokenCheckpoint, MissingShard) {
  use("tiny-sharded");
  fs::remove(checkpoint_ / "model-00003-of-00003.safetensors");
  expect_refused({"model-00003-of-00003.safetensors"});
}

TEST_F(BrokenCheckpoint, HeaderLongerThanTheFile) {
  std::string bytes = test::read_file(checkpoint_ / "model.safetensors");
  const std::uint64_t size = bytes.size() + 1;
  std::memcpy(bytes.data(), &size, 8);
  test::write_file(checkpoint_ / "model.safetensors", bytes);
  expect_refused({"model.safetensors", "header"});
}

TEST_F(BrokenCheckpoint, OverlappingOffsets) {
  edit_header([](Json& header) {
    const std::string a = in_header(header, "model.layers.0.mlp.up_proj.weight");
    const std::string b = in_header(header, "model.layers.0.mlp.gate_proj.weight");
    header[a]["data_offsets"] = header[b]["data_offsets"];
  });
  expect_refused({"model.safetensors"});
}

TEST_F(BrokenCheckpoint, OffsetsOutOfRange) {
  edit_header([](Json& header) {
    Json& offsets = header[in_header(header, "model.norm.weight")]["data_offsets"];
    offsets[0] = offsets[0].get<std::uint64_t>() + 1000000000U;
    offsets[1] = offsets[1].get<std::uint64_t>() + 1000000000U;
  });
  expect_refused({"model.safetensors", "norm.weight"});
}

TEST_F(BrokenCheckpoint, WrongDtype) {
  edit_header([](Json& header) { header[in_header(header, "model.norm.weight")]["dtype"] = "I32"; });
  expect_refused({"model.norm.weight", "I32", "F32, F16 or BF16"});
}

TEST_F(BrokenCheckpoint, MissingTensorsAndWrongShapesAllAtOnce) {
  edit_header([](Json& header) {
    const auto rename = [&](const std::string& name, const std::string& to) {
      const std::string from = in_header(header, name);
      header[to] = header[from];
      header.erase(from);
    };
    rename("model.norm.weight", "something.else");
    Json& row = header[in_header(header, "model.layers.1.mlp.up_proj.weight")];
    std::swap(row["shape"][0], row["shape"][1]);
  });
  expect_refused({"3 of its tensors", "model.norm.weight: missing; [64] is expected",
                  "model.layers.1.mlp.up_proj.weight: has the shape [64, 160]; [160, 64] is expected",
                  "something.else: not part of the model"});
}

TEST_F(BrokenCheckpoint, TensorThatTheIndexForgot) {
  use("tiny-sharded");
  edit_json("model.safetensors.index.json",
            [](Json& index) { index["weight_map"].erase("model.norm.weight"); });
  expect_refused({"2 of its tensors", "model.norm.weight: missing", "where the index does not place it"});
}

TEST_F(BrokenCheckpoint, HeadsThatDoNotDivide) {
  edit_json("config.json", [](Json& config) { config["text_config"]["num_attention_heads"] = 5; });
  expect_refused({"config.json", "num_attention_heads"});
}

TEST_F(BrokenCheckpoint, NoConfig) {
  fs::remove(checkpoint_ / "config.json");
  expect_refused({"config.json"});
}

TEST_F(BrokenCheckpoint, ConfigThatIsNotJson) {
  test::write_file(checkpoint_ / "config.json", "{\"model_type\": ");
  expect_refused({"config.json", "not valid JSON"});
}

TEST_F(BrokenCheckpoint, PreprocessorForOtherPatches) {
  edit_json("preprocessor_config.json", [](Json& config) { config["merge_size"] = 4; });
  expect_refused({"merged 4 x 4", "merged 2 x 2"});
}

// Opening a pipe to which nobody writes must not hang.
TEST_F(BrokenCheckpoint, PipesInPlaceOfFiles) {
  for (const std::string file : {"config.json", "tokenizer.json", "model.safetensors"}) {
    use("tiny-tied");
    fs::remove(checkpoint_ / file);
    ASSERT_EQ(mkfifo((checkpoint_ / file).c_str(), 0600), 0);
    expect_refused({});
  }
}

TEST_F(BrokenCheckpoint, NotACheckpoint) {
  fs::remove_all(checkpoint_);
  expect_refused({"config.json"});
}

TEST_F(BrokenCheckpoint, TokenizerWithoutANeededToken) {
  edit_json("tokenizer.json", [](Json& tokenizer) {
    for (Json& token : tokenizer["added_tokens"]) {
      if (token["content"] == "<|image_pad|>") token["content"] = "<|other|>";
    }
    Json& vocab = tokenizer["model"]["vocab"];
    if (vocab.contains("<|image_pad|>")) {
      vocab["<|other|>"] = vocab["<|image_pad|>"];
      vocab.erase("<|image_pad|>");
    }
  });
  expect_refused({"tokenizer.json", "<|image_pad|> is missing"});
}

TEST_F(BrokenCheckpoint, NoTokenizer) {
  fs::remove(checkpoint_ / "tokenizer.json");
  expect_refused({"tokenizer.json"});
}

using test::cannot_mount;

// Places that cannot be written: a small or read-only tmpfs.
test::ProgramResult export_on_tmpfs(const fs::path& mount_point, const std::string& options,
                                    const std::string& after) {
  return test::qvl_on_tmpfs(mount_point, options,
                            {"export", test::demo_checkpoint(), "--out", mount_point / "out", "--quiet"},
                            after);
}

TEST(BrokenPlace, FullDisk) {
  const test::TemporaryFolder folder;
  const auto result =
      export_on_tmpfs(folder.path() / "m", "size=3m", "ls -A '" + (folder.path() / "m").string() + "'");
  if (cannot_mount(result)) GTEST_SKIP() << "no tmpfs can be mounted here: " << result.err;
  EXPECT_EQ(result.exit_code, 4) << result.err;
  EXPECT_NE(result.err.find("DOES NOT FIT"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("_text_fp16.onnx_data"), std::string::npos) << result.err;
  EXPECT_EQ(result.out, "");
}

// Room for the bytes, but not for so many files: the disk is full in the middle of writing.
TEST(BrokenPlace, DiskThatBecomesFull) {
  const test::TemporaryFolder folder;
  const std::string mount_point = (folder.path() / "m").string();
  const auto result = export_on_tmpfs(mount_point, "size=30m,nr_inodes=6", "ls -A '" + mount_point + "'");
  if (cannot_mount(result)) GTEST_SKIP() << "no tmpfs can be mounted here: " << result.err;
  EXPECT_EQ(result.exit_code, 4) << result.err;
  EXPECT_NE(result.err.find("No space left"), std::string::npos) << result.err;
  EXPECT_EQ(result.out, "");
}

TEST(BrokenPlace, FolderThatIsNotWritable) {
  const test::TemporaryFolder folder;
  const auto result =
      export_on_tmpfs(folder.path() / "m", "size=30m,ro", "ls -A '" + (folder.path() / "m").string() + "'");
  if (cannot_mount(result)) GTEST_SKIP() << "no tmpfs can be mounted here: " << result.err;
  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_NE(result.err.find("cannot write"), std::string::npos) << result.err;
  EXPECT_EQ(result.out, "");
}

TEST(BrokenPlace, FileWhereAFolderIsWanted) {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "f", "x");
  const auto result = qvl({"export", test::demo_checkpoint(), "--out", folder.path() / "f", "--quiet"});
  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_EQ(test::read_file(folder.path() / "f"), "x");
}

// Pictures, given to `run` and to `preprocess`.
class BrokenPicture : public testing::Test {
 protected:
  static const fs::path& model() {
    static const test::TemporaryFolder root;
    static const fs::path out = [] {
      EXPECT_EQ(qvl({"export", test::demo_checkpoint(), "--out", root.path() / "o", "--quiet", "--image-size",
                     "56"})
                    .exit_code,
                0);
      return root.path() / "o";
    }();
    return out;
  }

  void expect_refused(const fs::path& picture, const std::vector<std::string>& words) const {
    const fs::path out = folder_.path() / "out.safetensors";
    for (const auto& arguments : std::vector<std::vector<std::string>>{
             {"run", model(), "--image", picture, "--prompt", "Describe the image."},
             {"preprocess", test::demo_checkpoint(), picture, "--out", out},
             {"preprocess", test::demo_checkpoint(), picture, "--fixed", "672", "--out", out}}) {
      const auto result = qvl(arguments);
      EXPECT_EQ(result.exit_code, 3) << arguments[0] << ": " << result.err;
      EXPECT_EQ(result.out, "");
      EXPECT_NE(result.err.find(picture.filename().string()), std::string::npos) << result.err;
      for (const std::string& word : words)
        EXPECT_NE(result.err.find(word), std::string::npos) << word << " in: " << result.err;
      EXPECT_FALSE(fs::exists(out));
    }
  }

  fs::path write(const std::string& name, const std::string& bytes) const {
    test::write_file(folder_.path() / name, bytes);
    return folder_.path() / name;
  }

  const test::TemporaryFolder folder_;
};

TEST_F(BrokenPicture, TruncatedInTheMiddle) {
  for (const std::string name : {"rgb.png", "q90-420.jpg", "lossy.webp", "first-frame.gif", "rgb.bmp"}) {
    const std::string bytes = test::read_file(test::data("picture-files/" + name));
    expect_refused(write("half-" + name, bytes.substr(0, bytes.size() / 2)), {});
  }
}

std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (const unsigned shift : {24U, 16U, 8U, 0U}) bytes += static_cast<char>(value >> shift & 0xffU);
  return bytes;
}

// PNG's CRC-32 (ISO 3309), bit by bit.
std::uint32_t crc32(const std::string& bytes) {
  std::uint32_t crc = 0xffffffffU;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0xedb88320U : 0U);
  }
  return ~crc;
}

// A PNG of the given size whose rows are missing.
std::string png_of_size(std::uint32_t width, std::uint32_t height) {
  const std::string header =
      "IHDR" + big_endian(width) + big_endian(height) + std::string("\x08\x02\0\0\0", 5);
  return "\x89PNG\r\n\x1a\n" + big_endian(13) + header + big_endian(crc32(header)) + big_endian(0) + "IEND" +
         big_endian(crc32("IEND"));
}

TEST_F(BrokenPicture, ZeroSize) { expect_refused(write("zero.png", png_of_size(0, 10)), {}); }

TEST_F(BrokenPicture, Bomb) { expect_refused(write("bomb.png", png_of_size(30000, 30000)), {"30000"}); }

TEST_F(BrokenPicture, TextNamedJpg) { expect_refused(write("text.jpg", "hello\n"), {"JPEG"}); }

TEST_F(BrokenPicture, Empty) { expect_refused(write("empty.png", ""), {}); }

TEST_F(BrokenPicture, Missing) { expect_refused(folder_.path() / "none.png", {}); }

// A bitmap of 24 bits a pixel, black.
std::string bmp_of_size(std::uint32_t width, std::uint32_t height) {
  const auto little = [](std::uint32_t v) {
    std::string bytes;
    for (const unsigned shift : {0U, 8U, 16U, 24U}) bytes += static_cast<char>(v >> shift & 0xffU);
    return bytes;
  };
  const std::uint32_t row = (3 * width + 3) / 4 * 4;
  return "BM" + little(54 + row * height) + little(0) + little(54) + little(40) + little(width) +
         little(height) + std::string("\x01\0\x18\0", 4) + little(0) + little(row * height) +
         std::string(16, '\0') + std::string(static_cast<std::size_t>(row) * height, '\0');
}

TEST_F(BrokenPicture, AspectRatioOver200) {
  expect_refused(write("thin.bmp", bmp_of_size(201, 1)), {"200"});
  expect_refused(write("tall.bmp", bmp_of_size(2, 500)), {"200"});
}

TEST(BrokenPlace, OutputsThatAreNoRegularFiles) {
  const test::TemporaryFolder folder;
  const std::string picture = test::demo_checkpoint().parent_path() / "pictures" / "shapes.jpg";
  for (const std::string& out :
       {std::string("/dev/full"), folder.path().string(), (folder.path() / "none" / "x").string()}) {
    const auto result = qvl({"preprocess", test::demo_checkpoint(), picture, "--out", out});
    EXPECT_EQ(result.exit_code, 3) << result.err;
    EXPECT_NE(result.err.find(out), std::string::npos) << result.err;
    EXPECT_EQ(result.out, "");
  }
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
}

TEST(BrokenModel, IsRefused) {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "m.onnx", "nothing");
  EXPECT_EQ(qvl({"inspect", folder.path() / "m.onnx"}).exit_code, 3);
  EXPECT_EQ(qvl({"inspect", folder.path()}).exit_code, 3);
  EXPECT_EQ(qvl({"inspect", "/none.onnx"}).exit_code, 3);
  EXPECT_EQ(qvl({"run", folder.path(), "--prompt", "x"}).exit_code, 3);
  test::write_file(folder.path() / "in.safetensors", "x");
  const auto result = qvl({"infer", folder.path() / "m.onnx", "--inputs", folder.path() / "in.safetensors",
                           "--outputs", folder.path() / "out.safetensors"});
  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_FALSE(fs::exists(folder.path() / "out.safetensors"));
}

}  // namespace
}  // namespace qvl
