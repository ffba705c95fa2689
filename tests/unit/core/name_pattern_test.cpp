#include "core/name_pattern.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace qvl {
namespace {

// By the definition, with as many ways tried as there are.
bool fits_slowly(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern.front() == '*')
    return fits_slowly(pattern.substr(1), name) || (!name.empty() && fits_slowly(pattern, name.substr(1)));
  return !name.empty() && (pattern.front() == '?' || pattern.front() == name.front()) &&
         fits_slowly(pattern.substr(1), name.substr(1));
}

TEST(NamePattern, StarsAndQuestionMarksStandForOthersAndAllElseForItself) {
  EXPECT_TRUE(fits_pattern("/model/layers.*/mlp/*", "/model/layers.3/mlp/down_proj/MatMul"));
  EXPECT_TRUE(fits_pattern("*o_proj*", "/model/layers.3/self_attn/o_proj/MatMul"));
  EXPECT_FALSE(fits_pattern("o_proj*", "/model/layers.3/self_attn/o_proj/MatMul"));
  EXPECT_TRUE(fits_pattern("layers.?", "layers.3"));
  EXPECT_FALSE(fits_pattern("layers.?", "layers.13"));
  EXPECT_TRUE(fits_pattern("", ""));
  EXPECT_TRUE(fits_pattern("**", ""));
  EXPECT_FALSE(fits_pattern("?", ""));
  EXPECT_FALSE(fits_pattern("", "a"));
  for (const char* name : {"a[3]", "a,b", "!a", "\\*", "a.b"}) {
    EXPECT_TRUE(fits_pattern(name, name)) << name;
  }
  EXPECT_FALSE(fits_pattern("a[3]", "a3"));
  EXPECT_FALSE(fits_pattern("a,b", "a"));
  EXPECT_FALSE(fits_pattern("!b", "a"));
}

TEST(NamePattern, FindsWhatTryingAllWaysFinds) {
  std::mt19937 random(1);
  int fitting = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string pattern;
    std::string name;
    for (auto n = random() % 7; n > 0; --n) pattern += "ab*?"[random() % 4];
    for (auto n = random() % 9; n > 0; --n) name += "ab"[random() % 2];
    const bool expected = fits_slowly(pattern, name);
    fitting += expected ? 1 : 0;
    ASSERT_EQ(fits_pattern(pattern, name), expected) << pattern << " " << name;
  }
  EXPECT_GT(fitting, 2000);
}

TEST(NamePattern, ManyStarsTakeNoTime) {
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "*a";
  EXPECT_FALSE(fits_pattern(pattern + "b", std::string(10000, 'a')));
}

}  // namespace
}  // namespace qvl
