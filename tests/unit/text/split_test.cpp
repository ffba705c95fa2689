// The two splitters: the one by PCRE2, and Qwen2's pattern by hand, which must split as PCRE2 does.
#include <gtest/gtest.h>
#include <unicode/uchar.h>

#include <random>

#include "qvl/error.h"
#include "text/qwen2_split.h"
#include "text/regex_split.h"
#include "text/utf8.h"

namespace qvl {
namespace {

using Pieces = std::vector<std::string>;

Pieces by_regex(const RegexSplitter& splitter, std::string_view text) {
  Pieces pieces;
  RegexSplitter::Workspace workspace;
  splitter.split(text, workspace, [&](std::string_view piece) { pieces.emplace_back(piece); });
  return pieces;
}

Pieces by_regex(std::string_view pattern, std::string_view text) {
  return by_regex(RegexSplitter(pattern, "test"), text);
}

Pieces by_hand(std::string_view text) {
  const Qwen2Splitter splitter;
  Pieces pieces;
  const char* end = text.data() + text.size();
  for (const char* p = text.data(); p != end;) {
    const char* next = splitter.piece_end(p, end);
    pieces.emplace_back(p, next);
    p = next;
  }
  return pieces;
}

// Characters that PCRE2 knows: those of Unicode 14, the version of PCRE2 10.42.
bool is_known(char32_t c) {
  if (c >= 0xD800 && c < 0xE000) return false;
  UVersionInfo age;
  u_charAge(static_cast<UChar32>(c), age);
  return age[0] > 0 && age[0] <= 14;
}

class RandomText {
 public:
  std::string operator()(std::size_t characters) {
    std::string text;
    for (std::size_t i = 0; i < characters; ++i) append_utf8(character(), text);
    return text;
  }

 private:
  char32_t character() {
    static constexpr std::u32string_view kTricky =
        U"\r\n\t  '\u00a0\u2028\u3000\u180e\u200b\u017f\u212asSdDmMtTlLrReEvV19.-";
    switch (random_() % 4) {
      case 0:
        return kTricky[random_() % kTricky.size()];
      case 1:
        return static_cast<char32_t>(0x20 + random_() % 0x60);
      case 2:
        return known(0x3100);
      default:
        return known(0x30000);
    }
  }
  char32_t known(char32_t end) {
    while (true) {
      const auto c = static_cast<char32_t>(random_() % end);
      if (is_known(c)) return c;
    }
  }
  std::mt19937 random_{17};
};

TEST(Qwen2Splitter, EqualsPcre2OnRandomText) {
  const RegexSplitter splitter(Qwen2Splitter::kPattern, "qwen2");
  RandomText random;
  for (int i = 0; i < 20000; ++i) {
    const std::string text = random(1 + static_cast<std::size_t>(i) % 40);
    ASSERT_EQ(by_hand(text), by_regex(splitter, text)) << text;
  }
}

TEST(Qwen2Splitter, EqualsPcre2OnEveryCharacter) {
  const RegexSplitter splitter(Qwen2Splitter::kPattern, "qwen2");
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (!is_known(c) || (c >= 0x3500 && c < 0xA000) || (c >= 0x20100 && c < 0xE0000)) continue;
    std::string text = "a'";
    append_utf8(c, text);
    text += "e  ";
    append_utf8(c, text);
    text += "\n1";
    append_utf8(c, text);
    ASSERT_EQ(by_hand(text), by_regex(splitter, text)) << static_cast<std::uint32_t>(c);
  }
}

TEST(Qwen2Splitter, SplitsAsThePatternSays) {
  EXPECT_EQ(by_hand("Hello, world's  end!\n\n 12"),
            (Pieces{"Hello", ",", " world", "'s", " ", " end", "!\n\n", " ", "1", "2"}));
  EXPECT_EQ(by_hand("don'T'ſx 'LL\tgo  \r\n  x   "),
            (Pieces{"don", "'T", "'ſ", "x", " '", "LL", "\tgo", "  \r\n", " ", " x", "   "}));
  EXPECT_EQ(by_hand("averyverylongwordindeed你好мир"), (Pieces{"averyverylongwordindeed你好мир"}));
}

TEST(RegexSplitter, KeepsMatchesAndWhatLiesBetween) {
  EXPECT_EQ(by_regex("\\d+", "a12b3"), (Pieces{"a", "12", "b", "3"}));
  EXPECT_EQ(by_regex("x*", "abxxc"), (Pieces{"a", "b", "xx", "c"}));
  EXPECT_EQ(by_regex("z", "äb"), (Pieces{"äb"}));
  EXPECT_EQ(by_regex("z", ""), Pieces{});
}

TEST(RegexSplitter, WhiteSpaceIsUnicodes) {
  EXPECT_EQ(by_regex("\\s", "a\u180eb\u0085c"), (Pieces{"a\u180eb", "\u0085", "c"}));
  EXPECT_EQ(by_regex("[\\s_]+", "a \u2028_b"), (Pieces{"a", " \u2028_", "b"}));
  EXPECT_EQ(by_regex("[^\\S\\n]+", "a \t\n b"), (Pieces{"a", " \t", "\n", " ", "b"}));
  EXPECT_EQ(by_regex("\\S+", "a\u180e \u3000b"), (Pieces{"a\u180e", " \u3000", "b"}));
}

TEST(RegexSplitter, ScriptsAreNotScriptExtensions) {
  // U+3001 is used with Han (Script_Extensions) but its script is Common.
  EXPECT_EQ(by_regex("\\p{Han}+", "中、文"), (Pieces{"中", "、", "文"}));
  EXPECT_EQ(by_regex("\\p{^L}", "a1b"), (Pieces{"a", "1", "b"}));
}

TEST(RegexSplitter, RefusesWhatTheEnginesReadDifferently) {
  for (const char* pattern :
       {"^a",          "a$",       "\\ba",   "\\w+",    "(a)\\1",  "(?m:a)",      "(?<n>a)", "(?R)",
        "[[:alpha:]]", "[a&&b]",   "[a[b]]", "\\h",     "a{,3}",   "a{3,1}",      "{2}",     "a{2}+",
        "a**",         "\\p{Foo}", "\\pL",   "\\x{41}", "\\xff",   "a\\",         "[a",      "[]a]",
        "(*ACCEPT)",   "(?#x)",    "\\C",    "\\Qa\\E", "\\u0041", "a{99999999}", "((((((a", "a)"}) {
    EXPECT_THROW(RegexSplitter(pattern, "test"), InputError) << pattern;
  }
}

TEST(RegexSplitter, HostilePatternsEnd) {
  const RegexSplitter exponential("(?:a+)+[bc]", "test");
  EXPECT_THROW(by_regex(exponential, std::string(40, 'a') + "d"), InputError);
  // A long text of white space is no reason to give up.
  const RegexSplitter qwen2(Qwen2Splitter::kPattern, "qwen2");
  const std::string spaces(2000000, ' ');
  EXPECT_EQ(by_regex(qwen2, spaces), Pieces{spaces});
}

TEST(RegexSplitter, CompilesNoMonsters) {
  std::string pattern = "a";
  for (int i = 0; i < 6; ++i) pattern = "(?:" + pattern + "){1000}";
  EXPECT_THROW(RegexSplitter(pattern, "test"), InputError);
}

}  // namespace
}  // namespace qvl
