// Files that other people's tools write: read as transformers does, or refused with the reason.
#include <gtest/gtest.h>

#include "checkpoint/safetensors.h"
#include "checkpoint/safetensors_writer.h"
#include "cli/program.h"
#include "core/json_text.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using test::qvl;

class OtherInputs : public testing::Test {
 protected:
  OtherInputs() { fs::copy(test::data("checkpoints/tiny-tied"), checkpoint_); }

  void edit(const std::string& file, const std::function<void(Json&)>& change) const {
    Json json = read_json_file(checkpoint_ / file);
    change(json);
    test::write_file(checkpoint_ / file, json.dump());
  }
  void write_chats(const std::string& text) const { test::write_file(chats_, text); }
  [[nodiscard]] test::ProgramResult export_text(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> command{"export", checkpoint_, "--out",        out_,  "--image-size", "56",
                                     "--only", "text",      "--text-dtype", "f32", "--quiet"};
    command.insert(command.end(), more.begin(), more.end());
    return qvl(command);
  }

  const test::TemporaryFolder folder_;
  const fs::path checkpoint_ = folder_.path() / "checkpoint";
  const fs::path out_ = folder_.path() / "out";
  const fs::path chats_ = folder_.path() / "chats.jsonl";
};

// A fine-tune that trained its head and kept the config.
TEST_F(OtherInputs, AHeadOfItsOwnIsExportedAndSaid) {
  const fs::path weights = checkpoint_ / "model.safetensors";
  const std::string bytes = test::read_file(weights);
  test::write_file(folder_.path() / "copy.safetensors", bytes);
  {
    const SafetensorsFile file(folder_.path() / "copy.safetensors");
    std::vector<NamedTensor> tensors;
    std::vector<float> head;
    for (const TensorEntry& entry : file.entries()) {
      tensors.push_back({entry.name, file.tensor(entry)});
      if (entry.name.find("embed_tokens") == std::string::npos) continue;
      head.assign(entry.size_bytes() / sizeof(float), 0.25F);
      tensors.push_back({"lm_head.weight", {DType::f32, entry.shape, std::as_bytes(std::span(head))}});
    }
    write_safetensors(weights, tensors);
  }
  EXPECT_NE(export_text({"--tied-head"}).exit_code, 0);
  const auto result = export_text();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.err.find("the stored lm_head.weight is another one"), std::string::npos) << result.err;
  EXPECT_NE(test::read_file(out_ / "manifest.json").find("lm_head.weight"), std::string::npos);
  const auto verified = qvl({"verify", out_, "--checkpoint", checkpoint_, "--quiet"});
  EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;
}

TEST_F(OtherInputs, ATieOfTextConfigAndNumbersThatNothingUses) {
  edit("config.json", [](Json& config) { config["tie_word_embeddings"] = false; });
  edit("generation_config.json", [](Json& config) {
    config["top_k"] = -1;
    config["pad_token_id"] = -1;
    config["top_p"] = 1.5;
  });
  const auto result = export_text({"--tied-head"});  // refused where nothing is tied
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(test::read_file(out_ / "manifest.json").find("lm_head.weight"), std::string::npos);
}

TEST_F(OtherInputs, PointersOfGitLfs) {
  const std::string pointer =
      "version https://git-lfs.github.com/spec/v1\noid sha256:" + std::string(64, 'a') +
      "\nsize 7508272144\n";
  ASSERT_EQ(export_text().exit_code, 0);
  const std::string data = (out_ / "checkpoint_text_fp32.onnx_data").string();
  ASSERT_TRUE(fs::exists(data));
  const auto expect_named = [&](const std::vector<std::string>& command, const std::string& file) {
    const auto result = qvl(command);
    EXPECT_EQ(result.exit_code, 3) << result.err;
    EXPECT_NE(result.err.find(file + " is a git-lfs pointer, not the file itself: run `git lfs pull`"),
              std::string::npos)
        << result.err;
  };
  for (const char* file : {"model.safetensors", "tokenizer.json", "tokenizer_config.json"}) {
    const std::string whole = test::read_file(checkpoint_ / file);
    test::write_file(checkpoint_ / file, pointer);
    expect_named({"export", checkpoint_, "--out", folder_.path() / "none"}, file);
    test::write_file(checkpoint_ / file, whole);
  }
  test::write_file(data, pointer);
  expect_named({"run", out_, "--prompt", "x"}, data);
  expect_named({"infer", out_ / "checkpoint_text_fp32.onnx", "--inputs", checkpoint_ / "model.safetensors",
                "--outputs", folder_.path() / "o.safetensors"},
               data);
  test::write_file(chats_, pointer);
  expect_named({"render-chat", checkpoint_, "--messages", chats_}, chats_);
  expect_named({"preprocess", checkpoint_, chats_, "--out", folder_.path() / "o.safetensors"}, chats_);
}

// Everything that writes prompts refuses another template; --chat-template goes on.
TEST_F(OtherInputs, AnotherChatTemplate) {
  write_chats(R"([{"role": "user", "content": "Hi"}])");
  test::write_file(checkpoint_ / "chat_template.jinja",
                   "{% for m in messages %}{{ m['content'] }}{% endfor %}");
  const auto exported = export_text();
  EXPECT_EQ(exported.exit_code, 0) << exported.err;
  EXPECT_NE(exported.err.find("is not Qwen2.5-VL's as published"), std::string::npos) << exported.err;
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"render-chat", checkpoint_, "--messages", chats_},
           {"render-chat", out_, "--messages", chats_},
           {"run", out_, "--prompt", "Hi", "--max-new-tokens", "1"},
           {"sensitivity", out_, "--data", chats_, "--formats", "int8", "--out", folder_.path() / "report",
            "--quiet"},
           {"evaluate", out_, "--data", chats_, "--no-answers", "--quiet"}}) {
    const auto refused = qvl(command);
    EXPECT_EQ(refused.exit_code, 3) << command[0] << refused.err;
    EXPECT_EQ(refused.out, "");
    EXPECT_NE(refused.err.find("--chat-template qwen"), std::string::npos) << refused.err;
  }
  std::vector<std::string> going_on{"render-chat", checkpoint_,       "--messages",
                                    chats_,        "--chat-template", "qwen"};
  EXPECT_EQ(qvl(going_on).out,
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
            "<|im_start|>assistant\n");
  const auto ran = qvl({"run", out_, "--prompt", "Hi", "--max-new-tokens", "1", "--chat-template", "qwen"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
}

// The same chat in two layouts is the same to the model; a key that means nothing is named.
TEST_F(OtherInputs, LayoutsOfChatsAndUnknownKeys) {
  write_chats(
      R"({"conversations": [{"from": "human", "value": "<image>Hi"}], "images": ["a.jpg"], "anwser": "x"})");
  const auto result = qvl({"render-chat", test::demo_checkpoint(), "--messages", chats_});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Hi<|im_end|>"),
            std::string::npos)
      << result.out;
  EXPECT_NE(result.err.find("qvl: warning: unknown key \"anwser\""), std::string::npos) << result.err;
}

TEST_F(OtherInputs, TransparencyIsLaidOnWhite) {
  const fs::path picture = test::data("picture-files/more/rgba-ramp.png");
  const auto rgb_of = [&](const std::vector<std::string>& more) {
    std::vector<std::string> command{
        "preprocess", checkpoint_, picture, "--fixed", "28", "--out", folder_.path() / "o.safetensors"};
    command.insert(command.end(), more.begin(), more.end());
    EXPECT_EQ(qvl(command).exit_code, 0);
    const SafetensorsFile file(folder_.path() / "o.safetensors");
    return static_cast<int>(file.tensor("rgb").bytes[1]);  // green at the corner, where alpha is 0
  };
  EXPECT_EQ(rgb_of({}), 255);
  EXPECT_NE(rgb_of({"--alpha", "drop"}), 255);
}

}  // namespace
}  // namespace qvl
