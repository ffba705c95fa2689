#include "replay/chat_samples.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "support/error_text.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using test::contains;
using test::input_error;

std::string line_with(const std::string& picture, const std::string& text = "What is it?",
                      const std::string& more = R"(, "answer": "A cat.")") {
  return R"({"messages": [{"role": "user", "content": [{"type": "image", "image": ")" + picture +
         R"("}, {"type": "text", "text": ")" + text + R"("}]}])" + more + "}\n";
}

TEST(ChatSamples, TheCalibrationChats) {
  const fs::path file = test::data("shapes-data/calibration.jsonl");
  const ChatSamples samples(file);
  ASSERT_EQ(samples.size(), 15U);
  EXPECT_EQ(samples.name(1), "calibration.jsonl:2");
  ASSERT_EQ(samples.messages(1).size(), 1U);
  EXPECT_EQ(samples.messages(1)[0].role, "user");
  EXPECT_EQ(samples.messages(1)[0].parts[1].value, "How many shapes are there?");
  EXPECT_EQ(samples.answer(1), "There are three shapes.");
  ASSERT_EQ(samples.pictures(1).size(), 1U);
  EXPECT_EQ(samples.pictures(1)[0].path(), file.parent_path() / "images/c001.jpg");
  EXPECT_EQ(ChatSamples(file, 4).size(), 4U);
  EXPECT_EQ(ChatSamples(file, 40).size(), 15U);
}

TEST(ChatSamples, AllMissingPicturesAtOnce) {
  const test::TemporaryFolder folder;
  const fs::path file = folder.path() / "chats.jsonl";
  test::write_file(folder.path() / "there.png", "x");
  std::string text = line_with("there.png") + line_with("a.png");
  test::write_file(file, text);
  EXPECT_EQ(input_error([&] { ChatSamples{file}; }),
            file.string() + " names 1 picture that is not there; paths are relative to its folder:\n  " +
                (folder.path() / "a.png").string() + " (chats.jsonl:2)");
  for (int i = 0; i < 12; ++i) text += line_with("gone-" + std::to_string(i) + ".png") + line_with("a.png");
  test::write_file(file, text);
  const std::string error = input_error([&] { ChatSamples{file}; });
  EXPECT_TRUE(contains(error, "names 13 pictures that are not there")) << error;
  EXPECT_TRUE(contains(error, "gone-8.png (chats.jsonl:19)") && !contains(error, "gone-9.png")) << error;
  EXPECT_TRUE(error.ends_with("\n  and 3 more")) << error;
  EXPECT_EQ(error.find("/a.png"), error.rfind("/a.png")) << error;
}

// As Qwen's own documents write the places of pictures.
TEST(ChatSamples, PicturesByUrl) {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "a b.png", "x");
  test::write_file(folder.path() / "a%20b.png", "y");
  const fs::path file = folder.path() / "chats.jsonl";
  const std::string place = folder.path().string();
  const auto path_of = [&](const std::string& url) {
    test::write_file(file, line_with(url));
    return ChatSamples(file).pictures(0)[0].path();
  };
  EXPECT_EQ(path_of("file://" + place + "/a b.png"), folder.path() / "a b.png");
  EXPECT_EQ(path_of("file://localhost" + place + "/a b.png"), folder.path() / "a b.png");
  EXPECT_EQ(path_of("file://" + place + "/a%20b.png"), folder.path() / "a%20b.png");
  fs::remove(folder.path() / "a%20b.png");
  EXPECT_EQ(path_of("file://" + place + "/a%20b.png"), folder.path() / "a b.png");
  const auto error_of = [&](const std::string& url) { return input_error([&] { (void)path_of(url); }); };
  EXPECT_TRUE(contains(error_of("file://server/share/a.png"), "names the host server"))
      << error_of("file://server/a");
  EXPECT_TRUE(contains(error_of("file://a.png"), "chats.jsonl:1: file://a.png: a file of this machine"));
  EXPECT_TRUE(contains(error_of("file:///none%21.png"), "/none!.png (chats.jsonl:1)"));
}

TEST(ChatSamples, PicturesInTheDataItself) {
  const test::TemporaryFolder folder;
  const fs::path file = folder.path() / "chats.jsonl";
  // A black and a white pixel, BMP.
  const std::string url =
      "data:image/bmp;base64,Qk0+AAAAAAAAADYAAAAoAAAAAgAAAAEAAAABABgAAAAAAAgAAAATCwAAEwsAAAAAAAAAAAAAAAAA////"
      "AAA=";
  test::write_file(file, line_with(url));
  const ChatSamples samples(file);
  const Picture& picture = samples.pictures(0)[0];
  EXPECT_FALSE(picture.is_file());
  const RgbImage image = picture.read();
  EXPECT_EQ(image.size(), (PixelSize{1, 2}));
  EXPECT_EQ(image.pixels()[0], 0);
  EXPECT_EQ(image.pixels()[5], 255);
  EXPECT_EQ(samples.sha256(0).size(), 64U);
  for (const auto& [broken, expected] : std::vector<std::pair<std::string, const char*>>{
           {"data:image/png;base64,A-B=", "is not base64"}, {"data:image/png,abc", "base64,… is expected"}}) {
    test::write_file(file, line_with(broken));
    EXPECT_TRUE(contains(input_error([&] { ChatSamples{file}; }), expected));
  }
}

TEST(ChatSamples, AFileWithoutSamples) {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "chats.jsonl", "\n\n");
  EXPECT_TRUE(contains(input_error([&] { ChatSamples{folder.path() / "chats.jsonl"}; }), "holds no sample"));
  EXPECT_TRUE(contains(input_error([&] { ChatSamples{folder.path() / "none.jsonl"}; }), "none.jsonl"));
}

TEST(ChatSamples, TheHashIsOfTheContent) {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "a.png", "one picture");
  test::write_file(folder.path() / "copy.png", "one picture");
  test::write_file(folder.path() / "b.png", "another");
  const auto hash_of = [&](const std::string& line) {
    test::write_file(folder.path() / "chats.jsonl", line);
    return ChatSamples(folder.path() / "chats.jsonl").sha256(0);
  };
  const std::string hash = hash_of(line_with("a.png"));
  EXPECT_EQ(hash.size(), 64U);
  // The same: another place, another path, keys that are ignored, another way to write it.
  EXPECT_EQ(
      hash_of("\n" + line_with("copy.png", "What is it?", R"(, "answer": "A\u0020cat.", "boxes": [1])")),
      hash);
  EXPECT_EQ(hash_of(line_with((folder.path() / "a.png").string())), hash);
  // Not the same: other bytes, another question, another answer or none.
  EXPECT_NE(hash_of(line_with("b.png")), hash);
  EXPECT_NE(hash_of(line_with("a.png", "What is that?")), hash);
  EXPECT_NE(hash_of(line_with("a.png", "What is it?", R"(, "answer": "A dog.")")), hash);
  EXPECT_NE(hash_of(line_with("a.png", "What is it?", "")),
            hash_of(line_with("a.png", "What is it?", R"(, "answer": "")")));
  const auto of_texts = [&](const std::string& parts) {
    return hash_of(R"({"messages": [{"role": "user", "content": [)" + parts + "]}]}");
  };
  EXPECT_NE(of_texts(R"({"text": "x"}, {"text": "y"})"), of_texts(R"({"text": "xtexty"})"));

  test::write_file(folder.path() / "chats.jsonl", line_with("b.png"));
  const ChatSamples samples(folder.path() / "chats.jsonl");
  fs::remove(folder.path() / "b.png");
  EXPECT_TRUE(contains(input_error([&] { (void)samples.sha256(0); }), "b.png"));
}

}  // namespace
}  // namespace qvl
