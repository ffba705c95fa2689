// What an expression throws, and what a message says.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace qvl::test {

// The message of the E that `call` throws; "(nothing thrown)" when it returns. Other exceptions pass.
template <class E, class Call>
std::string message_of_thrown(Call&& call) {
  try {
    call();
  } catch (const E& error) {
    return error.what();
  }
  return "(nothing thrown)";
}

// Whether the text contains every part.
template <class... Parts>
::testing::AssertionResult says(const std::string& text, const Parts&... parts) {
  for (const std::string_view part : {std::string_view(parts)...}) {
    if (text.find(part) == std::string::npos) {
      return ::testing::AssertionFailure() << "\"" << text << "\" does not contain \"" << part << "\"";
    }
  }
  return ::testing::AssertionSuccess();
}

}  // namespace qvl::test
