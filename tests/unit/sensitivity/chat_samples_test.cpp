#include "sensitivity/chat_samples.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "support/test_data.h"
#include "unit/checkpoint/error_text.h"

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

std::string error_of(const std::string& text) {
  return input_error([&] { (void)parse_chat_lines(text, "x.jsonl"); });
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
  EXPECT_EQ(samples.pictures(1)[0], file.parent_path() / "images/c001.jpg");
  EXPECT_EQ(ChatSamples(file, 4).size(), 4U);
  EXPECT_EQ(ChatSamples(file, 40).size(), 15U);
}

TEST(ChatLines, BlankLinesAreSkippedAndCounted) {
  const std::string text =
      "\xEF\xBB\xBF" + line_with("a.png", "1") + "\n \t\r\n" +
      R"({"messages": [{"role": "user", "content": "2"}], "boxes": [1], "answer": null})" + "\r\n" +
      R"({"messages": [{"role": "user", "content": "3"}]})";
  const std::vector<ChatSample> samples = parse_chat_lines(text, "x.jsonl");
  ASSERT_EQ(samples.size(), 3U);
  EXPECT_EQ(samples[0].line, 1U);
  EXPECT_EQ(samples[0].answer, "A cat.");
  EXPECT_EQ(samples[1].line, 4U);
  EXPECT_EQ(samples[1].messages[0].parts[0].value, "2");
  EXPECT_FALSE(samples[1].answer);
  EXPECT_EQ(samples[2].line, 5U);
  EXPECT_TRUE(parse_chat_lines("", "x.jsonl").empty());
}

// What comes behind the samples that are wanted is not looked at.
TEST(ChatLines, TheFirstSoMany) {
  const std::string text = line_with("a.png") + line_with("b.png") + "{";
  EXPECT_EQ(parse_chat_lines(text, "x.jsonl", 2).size(), 2U);
  EXPECT_THROW((void)parse_chat_lines(text, "x.jsonl", 3), InputError);
}

TEST(ChatLines, ErrorsNameLineAndField) {
  const std::string good = line_with("a.png");
  const std::pair<std::string, const char*> cases[] = {
      {"{", "x.jsonl:2 is not valid JSON"},
      {"[]", "x.jsonl:2: an object with `messages` is expected, not array"},
      {"{}", "x.jsonl:2: messages is missing"},
      {R"({"messages": 1})", "x.jsonl:2: messages must be an array"},
      {R"({"messages": []})", "x.jsonl:2: messages has no message"},
      {R"({"messages": [{"content": "x"}]})", "x.jsonl:2: messages[0].role is missing"},
      {R"({"messages": [{"role": "user", "content": [{"type": "video", "video": "x"}]}]})",
       "messages[0].content[0].type is \"video\""},
      {line_with(""), "x.jsonl:2: messages[0].content[0] is a picture without a path"},
      {line_with("https://x.org/a.png"), "x.jsonl:2: messages[0].content[0] is a picture at a URL"},
      {line_with("data:image/png;base64,AAAA"), "is a picture at a URL"},
      {line_with("a.png", "x", R"(, "answer": 3)"), "x.jsonl:2: answer must be a string, not number"},
      {line_with("a.png", "\xff"), "x.jsonl:2 is not valid JSON"},
  };
  for (const auto& [line, expected] : cases) {
    EXPECT_TRUE(contains(error_of(good + line), expected)) << line << ": " << error_of(good + line);
  }
}

TEST(ChatLines, CutOrChangedBytesAreAResultOrAnInputError) {
  const std::string good = line_with("a.png") + line_with("b.png");
  std::size_t refused = 0;
  for (std::size_t at = 0; at < good.size(); ++at) {
    refused += error_of(good.substr(0, at)).empty() ? 0 : 1;
    for (const int mask : {0x01, 0x20, 0x80}) {
      std::string changed = good;
      changed[at] = static_cast<char>(changed[at] ^ mask);
      refused += error_of(changed).empty() ? 0 : 1;
    }
  }
  EXPECT_GT(refused, good.size());
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
