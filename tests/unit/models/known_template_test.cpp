#include "models/known_template.h"

#include <gtest/gtest.h>

#include "core/json_text.h"
#include "models/qwen25vl/chat_template.h"
#include "qvl/error.h"
#include "support/test_data.h"
#include "text/folder_template.h"

namespace qvl::qwen25vl {
namespace {

namespace fs = std::filesystem;
using Kind = FolderTemplate::Kind;

std::string demo_template() {
  return read_json_file(test::demo_checkpoint() / "chat_template.json")
      .at("chat_template")
      .get<std::string>();
}

// Without the default system message.
const std::string kOther = "{% for message in messages %}{{ message['content'] }}{% endfor %}";

class TemplateFolder : public testing::Test {
 protected:
  void json(const std::string& file, const Json& value) const {
    test::write_file(folder_.path() / file, Json{{"chat_template", value}}.dump());
  }
  void jinja(const std::string& text) const {
    test::write_file(folder_.path() / "chat_template.jinja", text);
  }
  void expect(Kind kind, const std::string& file = "") const {
    const FolderTemplate found = template_of(folder_.path(), is_known_template);
    EXPECT_EQ(found.kind, kind);
    EXPECT_EQ(found.file, file);
  }

  test::TemporaryFolder folder_;
};

TEST(KnownTemplate, IsKnownByItsText) {
  const std::string demo = demo_template();
  EXPECT_TRUE(is_known_template(demo));
  EXPECT_TRUE(is_known_template(demo + "\n"));
  std::string windows;
  for (const char c : demo) windows += c == '\n' ? std::string("\r\n") : std::string(1, c);
  EXPECT_TRUE(is_known_template(windows));
  EXPECT_FALSE(is_known_template(demo + " "));
  EXPECT_FALSE(is_known_template(demo + "\n\n"));
  std::string other = demo;
  other.replace(other.find("helpful"), 7, "careful");
  EXPECT_FALSE(is_known_template(other));
  EXPECT_FALSE(is_known_template(""));
  // As published with Qwen2.5-VL.
  EXPECT_TRUE(is_known_template(
      "{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}{% for message in "
      "messages "
      "%}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nYou are a helpful "
      "assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n{% if message['content'] is "
      "string %}{{ "
      "message['content'] }}<|im_end|>\n{% else %}{% for content in message['content'] %}{% if "
      "content['type'] == "
      "'image' or 'image' in content or 'image_url' in content %}{% set image_count.value = "
      "image_count.value + 1 "
      "%}{% if add_vision_id %}Picture {{ image_count.value }}: {% endif "
      "%}<|vision_start|><|image_pad|><|vision_end|>{% elif content['type'] == 'video' or 'video' in content "
      "%}{% "
      "set video_count.value = video_count.value + 1 %}{% if add_vision_id %}Video {{ video_count.value }}: "
      "{% endif "
      "%}<|vision_start|><|video_pad|><|vision_end|>{% elif 'text' in content %}{{ content['text'] }}{% "
      "endif %}{% "
      "endfor %}<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% "
      "endif %}"));
}

TEST_F(TemplateFolder, TheFilesOfTheProcessorGoBeforeTokenizerConfig) {
  expect(Kind::none);
  json("tokenizer_config.json", kOther);
  expect(Kind::other, "tokenizer_config.json");
  json("chat_template.json", demo_template());
  expect(Kind::known);
  jinja(kOther);  // the tokenizer of transformers takes this one, its processor the other
  expect(Kind::other, "chat_template.jinja");
  jinja(demo_template() + "\n");
  expect(Kind::known);
  json("processor_config.json", kOther);
  expect(Kind::other, "processor_config.json");
}

TEST_F(TemplateFolder, OfSeveralTheDefaultCounts) {
  json("tokenizer_config.json",
       {{{"name", "tool_use"}, {"template", kOther}}, {{"name", "default"}, {"template", demo_template()}}});
  expect(Kind::known);
  json("tokenizer_config.json",
       {{{"name", "tool_use"}, {"template", demo_template()}}, {{"name", "default"}, {"template", kOther}}});
  expect(Kind::other, "tokenizer_config.json");
  json("tokenizer_config.json", Json::array({{{"name", "tool_use"}, {"template", demo_template()}}}));
  expect(Kind::other, "tokenizer_config.json");
  json("tokenizer_config.json", nullptr);
  expect(Kind::none);
  json("tokenizer_config.json", 3);
  expect(Kind::other, "tokenizer_config.json");
}

TEST_F(TemplateFolder, AnotherTemplateIsRefusedAndNoneIsSaid) {
  std::vector<std::string> warnings;
  InputOptions input;
  input.on_warning = [&](const std::string& sentence) { warnings.push_back(sentence); };
  require_known_template(folder_.path(), *families().front(), input);
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].find("has no chat template"), std::string::npos);
  jinja(demo_template());
  require_known_template(folder_.path(), *families().front(), input);
  EXPECT_EQ(warnings.size(), 1U);
  jinja(kOther);
  try {
    require_known_template(folder_.path(), *families().front(), input);
    ADD_FAILURE();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find((folder_.path() / "chat_template.jinja").string()),
              std::string::npos);
    EXPECT_NE(std::string(error.what()).find("--chat-template qwen"), std::string::npos);
  }
  input.any_chat_template = true;
  require_known_template(folder_.path(), *families().front(), input);
}

}  // namespace
}  // namespace qvl::qwen25vl
