#include "text/chat_rows.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/error_text.h"

namespace qvl {
namespace {

using test::contains;
using test::input_error;

std::string line_with(const std::string& picture, const std::string& text = "What is it?",
                      const std::string& more = R"(, "answer": "A cat.")") {
  return R"({"messages": [{"role": "user", "content": [{"type": "image", "image": ")" + picture +
         R"("}, {"type": "text", "text": ")" + text + R"("}]}])" + more + "}\n";
}

std::string rows_error(const std::string& text) {
  return input_error([&] { (void)parse_chat_lines(text, "x.jsonl"); });
}

// "user: [a.png] What is it? | assistant: …", the answer behind " -> ".
std::string as_text(const ChatSample& sample) {
  std::string text;
  for (const ChatMessage& message : sample.messages) {
    text += (text.empty() ? "" : " | ") + message.role + ":";
    for (const ChatPart& part : message.parts)
      text += part.kind == ChatPart::Kind::image ? " [" + part.value + "]" : " " + part.value;
  }
  return text + (sample.answer ? " -> " + *sample.answer : "");
}
std::string as_text(const std::string& text) {
  const std::vector<ChatSample> samples = parse_chat_lines(text, "x.jsonl");
  return samples.size() == 1 ? as_text(samples[0]) : std::to_string(samples.size()) + " samples";
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
       "messages[0].content[0] is a video"},
      {line_with(""), "x.jsonl:2: messages[0].content[0] is a picture without a path"},
      {line_with("https://x.org/a.png"), "x.jsonl:2: messages[0].content[0] is a picture at a URL"},
      {line_with("a.png", "x", R"(, "answer": 3)"), "x.jsonl:2: answer must be a string, not number"},
      {line_with("a.png", "\xff"), "x.jsonl:2 is not valid JSON"},
  };
  for (const auto& [line, expected] : cases) {
    EXPECT_TRUE(contains(rows_error(good + line), expected)) << line << ": " << rows_error(good + line);
  }
}

TEST(ChatLines, CutOrChangedBytesAreAResultOrAnInputError) {
  const std::string good = line_with("a.png") + line_with("b.png");
  std::size_t refused = 0;
  for (std::size_t at = 0; at < good.size(); ++at) {
    refused += rows_error(good.substr(0, at)).empty() ? 0 : 1;
    for (const int mask : {0x01, 0x20, 0x80}) {
      std::string changed = good;
      changed[at] = static_cast<char>(changed[at] ^ mask);
      refused += rows_error(changed).empty() ? 0 : 1;
    }
  }
  EXPECT_GT(refused, good.size());
}

// The layouts of LLaMA-Factory, ShareGPT, LLaVA, TRL and OpenAI, each one chat.
TEST(ChatLines, OtherToolsLayouts) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"messages": [{"role": "user", "content": "<image>How many?"}], "images": ["a.jpg"], "answer": "Two."})",
       "user: [a.jpg] How many? -> Two."},
      {R"({"messages": [{"role": "user", "content": "Is <image> as <image>?"}], "images": ["a.jpg", "b.jpg"]})",
       "user: Is  [a.jpg]  as  [b.jpg] ?"},
      {R"({"conversations": [{"from": "human", "value": "<image>\nhi"}, {"from": "gpt", "value": "x"}],
           "images": ["a.jpg"], "system": "Be short.", "videos": [], "tools": ""})",
       "system: Be short. | user: [a.jpg] \nhi -> x"},
      {R"({"id": "1", "image": "a.jpg", "conversations": [{"from": "human", "value": "hi<image>"},
           {"from": "gpt", "value": "x"}, {"from": "human", "value": "and?"}, {"from": "gpt", "value": "y"}]})",
       "user: hi [a.jpg] | assistant: x | user: and? -> y"},
      {R"({"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "q", "image": null}]},
           {"role": "assistant", "content": [{"type": "text", "text": "a"}]}], "images": [{"path": "a.jpg"}]})",
       "user: [a.jpg] q -> a"},
      {R"({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///x.jpg",
           "detail": "low"}}, {"type": "image_url", "image_url": "data:image/png;base64,AAAA"}]}]})",
       "user: [file:///x.jpg] [data:image/png;base64,AAAA]"},
      {R"([{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}])", "user: q -> a"},
      {R"({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"},
           {"role": "user", "content": "r"}], "answer": "s"})",
       "user: q | assistant: a | user: r -> s"},
  };
  for (const auto& [row, expected] : cases) {
    std::string line = row;
    std::replace(line.begin(), line.end(), '\n', ' ');
    EXPECT_EQ(as_text(line), expected) << row;
  }
}

TEST(ChatLines, AnArrayInsteadOfLines) {
  const std::string array =
      "\xEF\xBB\xBF[\r\n" + line_with("a.png", "1") + " ,\n" + line_with("b.png", "2") + "]\n";
  const std::vector<ChatSample> samples = parse_chat_lines(array, "x.json");
  ASSERT_EQ(samples.size(), 2U);
  EXPECT_EQ(as_text(samples[1]), "user: [b.png] 2 -> A cat.");
  EXPECT_EQ(samples[1].place(), "#2");
  EXPECT_TRUE(contains(samples[1].row, "\"answer\":\"A cat.\""));
  EXPECT_EQ(parse_chat_lines(array, "x.json", 1).size(), 1U);
  EXPECT_EQ(as_text("[" + line_with("a.png") + "]"), "user: [a.png] What is it? -> A cat.");
  EXPECT_EQ(as_text("[\n{\"role\": \"user\",\n\"content\": \"q\"}]"), "user: q");
  EXPECT_EQ(as_text("{\n\"messages\": [{\"role\": \"user\",\n\"content\": \"q\"}]\n}\n"), "user: q");
  EXPECT_EQ(as_text("[{\"role\": \"user\", \"content\": \"q\"}]\n[{\"role\": \"user\", \"content\": \"r\"}]"),
            "2 samples");
  EXPECT_TRUE(contains(rows_error("[1]"), "x.jsonl#1: an object with `messages` is expected, not number"));
  EXPECT_TRUE(contains(rows_error("[\n" + line_with("a.png") + ",{}]"), "x.jsonl#2: messages is missing"));
  EXPECT_TRUE(contains(rows_error("[\n" + line_with("a.png")), "x.jsonl is not valid JSON"));
  EXPECT_TRUE(contains(rows_error("{\n\"messages\": ["), "x.jsonl:1 is not valid JSON"));
  EXPECT_TRUE(parse_chat_lines("[]", "x.json").empty());
}

TEST(ChatLines, UnknownKeysAreNamedOnce) {
  std::vector<std::string> warnings;
  const std::string typo =
      line_with("a.png") + line_with("a.png", "x", R"(, "anwser": "A cat.")") +
      line_with("a.png", "x", R"(, "anwser": "", "anwsers": 3, "id": 4, "reference": {}, "boxes": [])") +
      R"({"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "min_pixels": 5}], "weight": 1}]})";
  (void)parse_chat_lines(typo, "x.jsonl", 0,
                         [&](const std::string& sentence) { warnings.push_back(sentence); });
  EXPECT_EQ(warnings,
            (std::vector<std::string>{"unknown key \"anwser\" in line 2: ignored",
                                      "unknown key \"anwsers\" in line 3: ignored",
                                      "unknown key \"min_pixels\" in line 4, messages[0].content[0]: ignored",
                                      "unknown key \"weight\" in line 4, messages[0]: ignored"}));
}

// What would be measured as something else than was meant.
TEST(ChatLines, WhatIsAmbiguousOrNotSupportedIsRefused) {
  const auto chat = [](const std::string& content, const std::string& more = "") {
    return R"({"messages": [{"role": "user", "content": )" + content + "}]" + more + "}";
  };
  const std::pair<std::string, const char*> cases[] = {
      {chat(R"("<image>How many?")"), "1 place for pictures of `images` (<image>), and none in `images`"},
      {chat(R"("<image><image>")", R"(, "images": ["a.jpg"])"),
       "2 places for pictures of `images` (<image>), and 1 in"},
      {chat(R"("How many?")", R"(, "images": ["a.jpg"])"), "0 places for pictures of `images`"},
      {chat(R"([{"type": "image", "image": "b.jpg"}])", R"(, "images": ["a.jpg"])"), "0 places for pictures"},
      {chat(R"("x")", R"(, "images": ["a.jpg"], "image": "b.jpg")"), "image and images are both there"},
      {chat(R"("<video>What?")", R"(, "videos": ["a.mp4"])"), "videos: only pictures are supported"},
      {chat(R"("<video>What?")"), "holds <video>; only pictures"},
      {chat(R"([{"type": "video", "video": "a.mp4"}])"), "messages[0].content[0] is a video"},
      {chat(R"([{"type": "image", "image": "a.jpg", "text": "x"}])"), "has a picture and a text"},
      {chat(R"("x")", R"(, "tools": "[{}]")"), "tools: descriptions of tools"},
      {chat(R"("x")", R"(, "conversations": [])"), "messages and conversations are both there"},
      {chat(R"("x")", R"(, "answer": "a", "answer": "b")"), "the key \"answer\" is there twice"},
      {chat(R"([{"type": "text", "text": "a", "text": "b"}])"), "the key \"text\" is there twice"},
      {R"({"messages": [{"role": "tool", "content": "x"}]})", "messages[0].role is \"tool\"; system, user"},
      {R"({"conversations": [{"from": "observation", "value": "x"}]})",
       "conversations[0].from is \"observation\""},
      {R"({"messages": [{"role": "system", "content": "a"}], "system": "b"})",
       "system is there, and the first message"},
      {R"({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "answer": "b"})",
       "answer is there, and the last message is the assistant's"},
      {R"({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "boxes": [1]})",
       "boxes is there, and the last message is the assistant's"},
      {R"({"messages": [{"role": "assistant", "content": "a"}]})", "the only message is the assistant's"},
      {R"({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "<image>"}],
           "images": ["a.jpg"]})",
       "the answer, holds a picture"},
      {R"({"prompt": "q", "response": "a"})",
       "messages is missing (or conversations); there is prompt, response"},
      {line_with("http://x.org/a.png"),
       "is a picture at a URL (http://x.org/a.png), which qvl does not fetch"},
      {chat(R"([{"type": "image"}])"), "is a picture without a path"},
  };
  for (const auto& [row, expected] : cases) {
    std::string line = row;
    std::replace(line.begin(), line.end(), '\n', ' ');
    EXPECT_TRUE(contains(rows_error(line), expected)) << row << ": " << rows_error(line);
  }
}

}  // namespace
}  // namespace qvl
