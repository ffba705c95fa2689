#include "core/message_quote.h"

#include <fmt/format.h>

namespace qvl {
namespace {

constexpr std::size_t kLongest = 120;

}  // namespace

std::string quote_for_message(std::string_view text) {
  std::size_t length = text.size();
  if (length > kLongest) {
    length = kLongest;
    // Not in the middle of a UTF-8 sequence.
    while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0U) == 0x80U) --length;
  }
  std::string result = "\"";
  for (const char c : text.substr(0, length)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += c;
    }
  }
  return result + (length < text.size() ? "…\"" : "\"");
}

}  // namespace qvl
