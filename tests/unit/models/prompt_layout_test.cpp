#include "models/prompt_layout.h"

#include <gtest/gtest.h>

#include "models/qwen25vl/chat_tokens.h"
#include "qvl/error.h"
#include "support/test_data.h"
#include "text/tokenizer.h"

namespace qvl::qwen25vl {
namespace {

using Integers = std::vector<std::int64_t>;

TEST(PromptLayout, RepeatsEachImageTokenAsItsPictureAsks) {
  EXPECT_EQ(expand_image_tokens(Integers{1, 9, 2, 9, 3}, Integers{3, 1}, 9), (Integers{1, 9, 9, 9, 2, 9, 3}));
  EXPECT_EQ(expand_image_tokens(Integers{1, 2}, Integers{}, 9), (Integers{1, 2}));
  EXPECT_THROW((void)expand_image_tokens(Integers{1, 9}, Integers{}, 9), InputError);
  EXPECT_THROW((void)expand_image_tokens(Integers{1}, Integers{4}, 9), InputError);
}

TEST(PromptLayout, NamesTheTokensThatAreMissing) {
  const std::string file = test::read_file(test::demo_checkpoint() / "tokenizer.json");
  const ModelConfig config = read_model_config(test::demo_checkpoint() / "config.json");
  EXPECT_NO_THROW(require_chat_tokens(Tokenizer::parse(file, "t"), config, "t"));
  std::string renamed = file;
  const std::string token = "<|image_pad|>";
  for (std::size_t at = renamed.find(token); at != std::string::npos; at = renamed.find(token, at))
    renamed[at + 2] = 'X';
  ModelConfig other = config;
  other.vision_start_token_id = 5;
  try {
    require_chat_tokens(Tokenizer::parse(renamed, "t"), other, "some.json");
    FAIL();
  } catch (const InputError& error) {
    const std::string what = error.what();
    EXPECT_NE(what.find("some.json"), std::string::npos);
    EXPECT_NE(what.find("<|image_pad|> is missing"), std::string::npos) << what;
    EXPECT_NE(what.find("<|vision_start|> has the id"), std::string::npos) << what;
    EXPECT_EQ(what.find("<|im_end|>"), std::string::npos) << what;
  }
}

}  // namespace
}  // namespace qvl::qwen25vl
