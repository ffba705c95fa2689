// The ids here are what transformers 5.24 and tokenizers 0.23 give for the same folders
// (AutoTokenizer.from_pretrained, tokenizer_class Qwen2Tokenizer), where no other reason is named.
#include "text/declared_tokens.h"

#include <gtest/gtest.h>

#include "core/json_text.h"
#include "qvl/error.h"
#include "support/test_data.h"
#include "text/tokenizer.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<TokenId>;

constexpr const char* kText = "a <tool_new> b <x2>c <x3> <|im_end|>";

// A folder with the tokenizer of 781 tokens and other files.
class DeclaredTokens : public testing::Test {
 protected:
  DeclaredTokens() {
    fs::copy_file(test::data("checkpoints/tiny-tied/tokenizer.json"), folder_.path() / "tokenizer.json");
  }
  void write(const std::string& file, const Json& json) const {
    test::write_file(folder_.path() / file, json.dump());
  }
  void config(const std::string& members) const {
    test::write_file(
        folder_.path() / "tokenizer_config.json",
        R"({"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "bos_token": null)" + members + "}");
  }
  [[nodiscard]] Tokenizer load() const { return Tokenizer::load(folder_.path() / "tokenizer.json"); }
  [[nodiscard]] Ids ids(const char* text = kText) const { return load().encode(text); }
  [[nodiscard]] std::string error() const {
    try {
      (void)load();
    } catch (const InputError& error) {
      return error.what();
    }
    return "no error";
  }

  test::TemporaryFolder folder_;
};

std::string new_token(const std::string& id, const std::string& content, const std::string& more = "") {
  return "\"" + id + R"(": {"content": ")" + content +
         R"(", "normalized": false, "single_word": false, "rstrip": false, "special": true)" + more + "}";
}

const Ids kPlain{64, 220, 27, 586, 78, 75,  62, 77, 68, 86, 29,  272, 220,
                 27, 87,  17, 29,  66, 220, 27, 87, 18, 29, 220, 761};

TEST_F(DeclaredTokens, WithoutNewOnesNothingChanges) {
  EXPECT_EQ(ids(), kPlain);
  config("");
  EXPECT_EQ(ids(), kPlain);
  EXPECT_EQ(load().vocab_size(), 781U);
}

TEST_F(DeclaredTokens, OfAddedTokensDecoder) {
  config(R"(, "added_tokens_decoder": {)" + new_token("781", "<tool_new>") + "," +
         new_token("761", "<|im_end|>") + "}");
  EXPECT_EQ(ids("a <tool_new> b"), (Ids{64, 220, 781, 272}));
  EXPECT_TRUE(load().is_special(781));
  EXPECT_EQ(load().decode(Ids{64, 781, 272}, true), "a b");
  config(R"(, "added_tokens_decoder": {)" + new_token("781", "<tool_new>", R"(, "lstrip": true)") + "}");
  EXPECT_EQ(ids("a <tool_new> b"), (Ids{64, 781, 272}));
  // What it says of a token that tokenizer.json has counts.
  config(R"(, "added_tokens_decoder": {)" + new_token("764", "<|box_start|>", R"(, "lstrip": true)") + "}");
  EXPECT_EQ(ids("x <|box_start|> y<tool_call> z"), (Ids{87, 764, 340, 773, 220, 89}));
}

TEST_F(DeclaredTokens, NamedOnesAndListsInTheFilesOrder) {
  config(R"(, "additional_special_tokens": ["<x2>", "<tool_new>"])");
  EXPECT_EQ(ids(), (Ids{64, 220, 782, 272, 220, 781, 66, 220, 27, 87, 18, 29, 220, 761}));
  config(R"(, "extra_special_tokens": {"b_token": "<x2>", "a_token": "<tool_new>"})");
  EXPECT_EQ(ids(), (Ids{64, 220, 782, 272, 220, 781, 66, 220, 27, 87, 18, 29, 220, 761}));
  config(R"(, "additional_special_tokens": ["<x2>"], "extra_special_tokens": ["<x3>"])");
  EXPECT_EQ(ids(), (Ids{64,  220, 27, 586, 78, 75, 62, 77,  68,  86,  29,
                        272, 220, 27, 87,  17, 29, 66, 220, 781, 220, 761}));
  config(R"(, "additional_special_tokens": ["<|im_start|>", {"content": "<x3>"}, "<x2>"],
            "added_tokens_decoder": {)" +
         new_token("781", "<tool_new>") + "}");
  EXPECT_EQ(ids(), (Ids{64, 220, 781, 272, 220, 783, 66, 220, 782, 220, 761}));
  test::write_file(folder_.path() / "tokenizer_config.json",
                   R"({"zz_token": "<x3>", "aa_token": "<x2>", "bos_token": "<tool_new>"})");
  EXPECT_EQ(ids(), (Ids{64, 220, 781, 272, 220, 783, 66, 220, 782, 220, 761}));
  // A word of the vocabulary keeps its id, and is found everywhere.
  config(R"(, "additional_special_tokens": ["the"])");
  EXPECT_EQ(ids("the other"), (Ids{654, 396, 654, 81}));
}

TEST_F(DeclaredTokens, OfTheOlderFiles) {
  write("added_tokens.json", {{"<x2>", 782}, {"<tool_new>", 781}});
  EXPECT_EQ(ids(), (Ids{64, 220, 781, 272, 220, 782, 66, 220, 27, 87, 18, 29, 220, 761}));
  write("added_tokens.json", {{"<x2>", 781}});
  write("special_tokens_map.json", {{"additional_special_tokens", {"<tool_new>"}}});
  config(R"(, "additional_special_tokens": ["<x3>"])");
  EXPECT_EQ(ids(),
            (Ids{64, 220, 27, 586, 78, 75, 62, 77, 68, 86, 29, 272, 220, 781, 66, 220, 782, 220, 761}));
  // tokenizer_config.json with added_tokens_decoder stands for both.
  config(R"(, "added_tokens_decoder": {})");
  EXPECT_EQ(ids(), kPlain);
}

// transformers gives the next free id, whatever the file says; here the files disagree.
TEST_F(DeclaredTokens, IdsThatDisagreeAreRefused) {
  config(R"(, "added_tokens_decoder": {)" + new_token("790", "<tool_new>") + "}");
  EXPECT_NE(error().find(
                R"(added_tokens_decoder["790"] is "<tool_new>", with the id 790; the next free id is 781)"),
            std::string::npos)
      << error();
  config(R"(, "added_tokens_decoder": {)" + new_token("781", "<|im_end|>") + "}");
  EXPECT_NE(error().find(R"("<|im_end|>", with the id 781; tokenizer.json gives it 761)"), std::string::npos)
      << error();
  config("");
  write("added_tokens.json", {{"<x2>", 800}});
  EXPECT_NE(error().find(R"("<x2>", with the id 800; the next free id is 781)"), std::string::npos)
      << error();
}

TEST_F(DeclaredTokens, RefusesNonsense) {
  for (const auto& [members, expected] : std::vector<std::pair<const char*, const char*>>{
           {R"(, "split_special_tokens": true)", "split_special_tokens is true"},
           {R"(, "add_prefix_space": true)", "add_prefix_space is true"},
           {R"(, "added_tokens_decoder": [])", "added_tokens_decoder must be an object"},
           {R"(, "added_tokens_decoder": {"x": {"content": "y"}})", "must be named by an id"},
           {R"(, "added_tokens_decoder": {"781": "y"})", "must be an object with `content`"},
           {R"(, "additional_special_tokens": 3)", "additional_special_tokens must be a list"},
           {R"(, "additional_special_tokens": [3])", "must be a token"},
           {R"(, )", "not valid JSON"}}) {
    config(members);
    EXPECT_NE(error().find(expected), std::string::npos) << error();
    EXPECT_NE(error().find("tokenizer_config.json"), std::string::npos) << error();
  }
}

}  // namespace
}  // namespace qvl
