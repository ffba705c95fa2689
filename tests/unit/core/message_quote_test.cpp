#include "core/message_quote.h"

#include <gtest/gtest.h>

namespace qvl {
namespace {

TEST(MessageQuote, KeepsPlainTextAndShowsControlCharacters) {
  EXPECT_EQ(quote_for_message("lm_head.weight"), "\"lm_head.weight\"");
  EXPECT_EQ(quote_for_message("a\n\x1b[31m\x7f"), "\"a\\x0a\\x1b[31m\\x7f\"");
  EXPECT_EQ(quote_for_message("größe"), "\"größe\"");
}

TEST(MessageQuote, CutsLongTextBetweenCharacters) {
  EXPECT_EQ(quote_for_message(std::string(120, 'a')), '"' + std::string(120, 'a') + '"');
  EXPECT_EQ(quote_for_message(std::string(1000000, 'a')), '"' + std::string(120, 'a') + "…\"");
  const std::string longest(119, 'a');
  EXPECT_EQ(quote_for_message(longest + "öö"), '"' + longest + "…\"");
  EXPECT_EQ(quote_for_message(std::string(200, '\x80')), "\"…\"");
}

}  // namespace
}  // namespace qvl
