#include "text/detokenizer.h"

#include <gtest/gtest.h>

#include <random>

#include "support/test_data.h"
#include "text/utf8.h"
#include "tokenizer_file_builder.h"

namespace qvl {
namespace {

std::string stream(const Tokenizer& tokenizer, const std::vector<TokenId>& ids, bool skip_special) {
  Detokenizer detokenizer(tokenizer, skip_special);
  std::string text;
  for (const TokenId id : ids) {
    const std::string part = detokenizer.push(id);
    EXPECT_EQ(valid_utf8_prefix(part), part.size());
    text += part;
  }
  return text + detokenizer.finish();
}

TEST(Detokenizer, GivesWholeCharactersOnly) {
  const Tokenizer tokenizer = Tokenizer::parse(test::small_tokenizer().dump(), "small");
  Detokenizer detokenizer(tokenizer, true);
  EXPECT_EQ(detokenizer.push(257), "the");
  EXPECT_EQ(detokenizer.push(0xE4), "");
  EXPECT_EQ(detokenizer.push(0xBD), "");
  EXPECT_EQ(detokenizer.push(259), "");  // special: skipped, the character goes on behind it
  EXPECT_EQ(detokenizer.push(0xA0), "你");
  EXPECT_EQ(detokenizer.push(0xF0), "");
  EXPECT_EQ(detokenizer.push('a'), "\uFFFDa");
  EXPECT_EQ(detokenizer.push(0xFF), "\uFFFD");
  EXPECT_EQ(detokenizer.push(0xC3), "");
  EXPECT_EQ(detokenizer.finish(), "\uFFFD");
  EXPECT_EQ(detokenizer.finish(), "");
  EXPECT_EQ(detokenizer.push(0xA9), "\uFFFD");  // nothing is left from before
}

TEST(Detokenizer, EqualsDecodingAllAtOnce) {
  std::mt19937 random(23);
  std::vector<Tokenizer> tokenizers{Tokenizer::parse(test::small_tokenizer().dump(), "small"),
                                    Tokenizer::load(test::data("tokenizer/shapes-tokenizer.json"))};
  for (const Tokenizer& tokenizer : tokenizers) {
    const auto size = static_cast<unsigned>(tokenizer.vocab_size());
    for (int round = 0; round < 3000; ++round) {
      std::vector<TokenId> ids(random() % 30);
      // Continuation bytes are rare in random ids: take many ids from the bytes of a few characters.
      const std::vector<TokenId> favourites = tokenizer.encode("🦜你é\u07FF\U0010FFFF");
      for (TokenId& id : ids) {
        id = random() % 3 == 0 ? static_cast<TokenId>(random() % (size + 5)) - 2
                               : favourites[random() % favourites.size()];
      }
      ASSERT_EQ(stream(tokenizer, ids, false), tokenizer.decode(ids, false));
      ASSERT_EQ(stream(tokenizer, ids, true), tokenizer.decode(ids, true));
    }
  }
}

}  // namespace
}  // namespace qvl
