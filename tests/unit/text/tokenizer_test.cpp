#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <thread>

#include "core/json_text.h"
#include "qvl/error.h"
#include "support/test_data.h"
#include "tokenizer_file_builder.h"

namespace qvl {
namespace {

using Ids = std::vector<TokenId>;

Tokenizer shapes() { return Tokenizer::load(test::data("tokenizer/shapes-tokenizer.json")); }

void expect_golden(const Tokenizer& tokenizer, const std::string& file) {
  const Json golden = read_json_file(test::data("tokenizer/" + file));
  EXPECT_EQ(tokenizer.vocab_size(), golden["vocab_size"].get<std::size_t>());
  ASSERT_GT(golden["encode"].size(), 200U);
  ASSERT_GT(golden["decode"].size(), 50U);
  for (const Json& c : golden["encode"]) {
    EXPECT_EQ(tokenizer.encode(c["text"].get<std::string>()), c["ids"].get<Ids>()) << c["text"];
  }
  for (const Json& c : golden["decode"]) {
    const Ids ids = c["ids"].get<Ids>();
    EXPECT_EQ(tokenizer.decode(ids, false), c["text"].get<std::string>()) << c["ids"];
    EXPECT_EQ(tokenizer.decode(ids, true), c["text_skip_special"].get<std::string>()) << c["ids"];
  }
}

TEST(Tokenizer, EqualsTheReferenceOnTheSmallTokenizer) { expect_golden(shapes(), "shapes.json"); }

TEST(Tokenizer, EqualsTheReferenceOnTheRealTokenizer) {
  if (!std::filesystem::exists(QVL_QWEN_TOKENIZER)) {
    GTEST_SKIP() << "the Qwen2.5 tokenizer is not here; scripts/setup.sh fetches it";
  }
  const Tokenizer tokenizer = Tokenizer::load(QVL_QWEN_TOKENIZER);
  expect_golden(tokenizer, "qwen2.5.json");
  EXPECT_EQ(tokenizer.token(*tokenizer.token_id("\u0120the")), "\u0120the");
  // Lengths that tokenizers 0.23.1 gives for long pieces.
  const auto repeated = [](std::string_view text, std::size_t count) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += text;
    return out;
  };
  EXPECT_EQ(tokenizer.encode(repeated("a", 100000)).size(), 12500U);
  EXPECT_EQ(tokenizer.encode(repeated("中文分词", 10000)).size(), 30000U);
  EXPECT_EQ(tokenizer.encode(repeated("🦜", 25000)).size(), 50000U);
  EXPECT_EQ(tokenizer.encode(repeated(" ", 100000)).size(), 782U);
}

// The variants of the small tokenizer that make_rules.py describes.
Json variant_file(const Json& variant) {
  Json file = read_json_file(test::data("tokenizer/shapes-tokenizer.json"));
  for (const char* key : {"normalizer", "pre_tokenizer"}) {
    if (variant.contains(key)) file[key] = variant[key];
  }
  Json& model = file["model"];
  if (variant.contains("ignore_merges")) model["ignore_merges"] = variant["ignore_merges"];
  Json& merges = model["merges"];
  if (variant.contains("drop_merges"))
    merges.erase(std::find(merges.begin(), merges.end(), variant["drop_merges"]));
  if (variant.contains("repeat_merge"))
    merges.push_back(Json(merges[variant["repeat_merge"].get<std::size_t>()]));
  if (variant.contains("added")) {
    for (const Json& token : variant["added"]) file["added_tokens"].push_back(token);
  }
  return file;
}

TEST(Tokenizer, FollowsTheRulesOfTheReference) {
  const Json golden = read_json_file(test::data("tokenizer/rules.json"));
  ASSERT_GT(golden["variants"].size(), 20U);
  for (const Json& variant : golden["variants"]) {
    SCOPED_TRACE(variant["name"]);
    const Tokenizer tokenizer = Tokenizer::parse(variant_file(variant).dump(), "variant");
    EXPECT_EQ(tokenizer.vocab_size(), variant["vocab_size"].get<std::size_t>());
    for (const Json& name : variant["names"]) {
      EXPECT_EQ(tokenizer.token_id(name[0].get<std::string>()), name[1].get<TokenId>());
      EXPECT_EQ(tokenizer.token(name[1].get<TokenId>()), name[2].get<std::string>());
    }
    for (const Json& c : variant["cases"]) {
      const Ids ids = c["ids"].get<Ids>();
      EXPECT_EQ(tokenizer.encode(c["text"].get<std::string>()), ids) << c["text"];
      EXPECT_EQ(tokenizer.decode(ids, false), c["decoded"].get<std::string>()) << c["ids"];
      EXPECT_EQ(tokenizer.decode(ids, true), c["decoded_skipping"].get<std::string>()) << c["ids"];
    }
  }
}

TEST(Tokenizer, KnowsItsTokens) {
  const Tokenizer tokenizer = Tokenizer::parse(test::small_tokenizer().dump(), "small");
  EXPECT_EQ(tokenizer.vocab_size(), 261U);
  EXPECT_EQ(tokenizer.token_id("the"), 257);
  EXPECT_EQ(tokenizer.token_id("<|end|>"), 259);
  EXPECT_EQ(tokenizer.token_id("them"), std::nullopt);
  EXPECT_EQ(tokenizer.token(258), "\u0120t");
  EXPECT_EQ(tokenizer.token_bytes(258), " t");
  EXPECT_EQ(tokenizer.token_bytes(0xE9), "\xE9");
  EXPECT_TRUE(tokenizer.is_special(259));
  EXPECT_FALSE(tokenizer.is_special(260));
  for (const TokenId nowhere : {TokenId{-1}, TokenId{261}, TokenId{1} << 40}) {
    EXPECT_EQ(tokenizer.token(nowhere), "");
    EXPECT_EQ(tokenizer.token_bytes(nowhere), "");
    EXPECT_FALSE(tokenizer.is_special(nowhere));
  }
  EXPECT_EQ(tokenizer.encode("the<|end|> t<tool>"), (Ids{257, 259, 258, 260}));
}

TEST(Tokenizer, DropsIdsThatDoNotExist) {
  const Tokenizer tokenizer = Tokenizer::parse(test::small_tokenizer().dump(), "small");
  EXPECT_EQ(tokenizer.decode(Ids{257, 999999, -3, 97}, false), "thea");
  EXPECT_EQ(tokenizer.decode(Ids{0xE4, 97, 0xE4, 0xBD, 259, 0xE4, 0xBD, 0xA0}, false),
            "\uFFFDa\uFFFD<|end|>你");
  EXPECT_EQ(tokenizer.decode(Ids{0xE4, 0xBD, 259, 0xA0}, true), "你");
}

TEST(Tokenizer, ReadsWhatIsNotUtf8AsReplacementCharacters) {
  const Tokenizer tokenizer = shapes();
  EXPECT_EQ(tokenizer.encode("a\xFF\xE4\xBD z"), tokenizer.encode("a\uFFFD\uFFFD z"));
  EXPECT_EQ(tokenizer.encode("\xED\xA0\x80"), tokenizer.encode("\uFFFD\uFFFD\uFFFD"));
  EXPECT_EQ(tokenizer.encode("ab\xF0\x9F\xA6"), tokenizer.encode("ab\uFFFD"));
}

TEST(Tokenizer, EncodesFromSeveralThreads) {
  const Tokenizer tokenizer = shapes();
  const Json golden = read_json_file(test::data("tokenizer/shapes.json"));
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 3; ++round) {
        for (const Json& c : golden["encode"]) {
          if (tokenizer.encode(c["text"].get_ref<const std::string&>()) != c["ids"].get<Ids>()) ++wrong[t];
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

TEST(Tokenizer, OutlivesTheObjectItWasCopiedFrom) {
  auto first = std::make_unique<Tokenizer>(shapes());
  const Tokenizer second = *first;
  first.reset();
  EXPECT_EQ(second.decode(second.encode("the water"), false), "the water");
}

}  // namespace
}  // namespace qvl
