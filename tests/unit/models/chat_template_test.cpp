#include "models/qwen25vl/chat_template.h"

#include <gtest/gtest.h>

#include "core/json_text.h"
#include "qvl/error.h"
#include "support/test_data.h"

namespace qvl::qwen25vl {
namespace {

TEST(ChatTemplate, EqualsTheReference) {
  const Json golden = read_json_file(test::data("tokenizer/chat.json"));
  ASSERT_GT(golden["cases"].size(), 20U);
  for (const Json& c : golden["cases"]) {
    const std::vector<ChatMessage> messages = parse_messages(c["messages"].dump(), "chat.json");
    const ChatOptions options{c["add_generation_prompt"].get<bool>(), c["add_vision_id"].get<bool>()};
    EXPECT_EQ(render_chat(messages, options), c["rendered"].get<std::string>()) << c["messages"];
  }
}

TEST(ChatTemplate, NumbersPicturesThroughTheChat) {
  const ChatPart picture{ChatPart::Kind::image, "a.png"};
  const std::vector<ChatMessage> messages{{"user", {picture, {ChatPart::Kind::text, "x"}, picture}},
                                          {"critic", {picture}}};
  EXPECT_EQ(render_chat(messages, {false, true}),
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
            "<|im_start|>user\nPicture 1: <|vision_start|><|image_pad|><|vision_end|>x"
            "Picture 2: <|vision_start|><|image_pad|><|vision_end|><|im_end|>\n"
            "<|im_start|>critic\nPicture 3: <|vision_start|><|image_pad|><|vision_end|><|im_end|>\n");
  EXPECT_EQ(render_chat({}), "<|im_start|>assistant\n");
}

TEST(ParseMessages, KeepsPicturesInOrder) {
  const std::vector<ChatMessage> messages = parse_messages(
      R"({"model": "x", "messages": [{"role": "user", "content": [
           {"type": "image", "image": "images/e000.jpg"}, {"type": "text", "text": "or"},
           {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
           {"type": "image_url", "image_url": "u"},
           {"type": "image"}, {"image": "i"}, {"text": "t"}]},
         {"role": "assistant", "content": "Yes."}]})",
      "request");
  ASSERT_EQ(messages.size(), 2U);
  std::string seen;
  for (const ChatPart& part : messages[0].parts) {
    seen += (part.kind == ChatPart::Kind::image ? "[" : "(") + part.value + " ";
  }
  EXPECT_EQ(seen, "[images/e000.jpg (or [data:image/png;base64,AA [u [ [i (t ");
  EXPECT_EQ(messages[1].role, "assistant");
  ASSERT_EQ(messages[1].parts.size(), 1U);
  EXPECT_EQ(messages[1].parts[0].value, "Yes.");
}

TEST(ParseMessages, NamesTheMessageAndTheField) {
  const auto error_of = [](const char* json) -> std::string {
    try {
      (void)parse_messages(json, "chat");
    } catch (const InputError& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(error_of("3"), "chat: the top level must be an array of messages, not a number");
  EXPECT_EQ(error_of("{}"),
            "chat: the top level must be an array of messages, or an object with `messages` or "
            "`conversations`, not an "
            "object");
  EXPECT_EQ(error_of(R"({"messages": null})"), "chat: messages must be an array of messages, not null");
  EXPECT_EQ(error_of("[1]"), "chat: messages[0] must be an object with `role` and `content`, not a number");
  EXPECT_EQ(error_of(R"([{"content": ""}])"), "chat: messages[0].role is missing");
  EXPECT_EQ(error_of(R"([{"role": 1, "content": ""}])"),
            "chat: messages[0].role must be a string, not a number");
  EXPECT_EQ(error_of(R"([{"role": "user", "content": ""}, {"role": "user"}])"),
            "chat: messages[1].content is missing");
  EXPECT_EQ(error_of(R"([{"role": "user", "content": null}])"),
            "chat: messages[0].content must be a string or an array of parts, not null");
  EXPECT_EQ(error_of(R"([{"role": "user", "content": [{"type": "text"}]}])"),
            "chat: messages[0].content[0].text is missing");
  EXPECT_EQ(error_of(R"([{"role": "user", "content": ["x"]}])"),
            "chat: messages[0].content[0] must be an object with `type`, not a string");
  EXPECT_EQ(error_of(R"([{"role": "user", "content": [{"type": "video", "video": "v"}]}])"),
            "chat: messages[0].content[0] is a video; text and pictures are supported");
  EXPECT_EQ(error_of(R"([{"role": "user", "content": [{"type": "image", "image": 5}]}])"),
            "chat: messages[0].content[0].image must be a string, not a number");
  EXPECT_EQ(error_of(R"([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}])"),
            "chat: messages[0].content[0].image_url.url is missing");
  EXPECT_EQ(error_of(R"([{"role": "user", "content": [{"type": "image_url"}]}])"),
            "chat: messages[0].content[0].image_url is missing");
  EXPECT_NE(error_of("[").find("chat is not valid JSON"), std::string::npos);
}

}  // namespace
}  // namespace qvl::qwen25vl
