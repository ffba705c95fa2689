// UTF-8 (Unicode 16, section 3.9): validation, decoding, and replacement of what is not UTF-8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace qvl {

// U+FFFD
inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

enum class Utf8Status {
  complete,   // a whole character
  invalid,    // the first `length` bytes are a maximal subpart that no continuation can mend
  truncated,  // all bytes given are a prefix of some character
};

struct Utf8Sequence {
  Utf8Status status = Utf8Status::complete;
  std::size_t length = 0;  // bytes, at least 1
};

// Looks at the start of `bytes`, which is not empty.
[[nodiscard]] Utf8Sequence utf8_sequence(std::string_view bytes) noexcept;

// Bytes at the front that are valid UTF-8.
[[nodiscard]] std::size_t valid_utf8_prefix(std::string_view bytes) noexcept;

// The bytes with U+FFFD for each maximal subpart that is not UTF-8 (as Unicode recommends and Rust's
// from_utf8_lossy does).
[[nodiscard]] std::string replace_invalid_utf8(std::string_view bytes);

// The number of leading bytes that are ASCII.
[[nodiscard]] std::size_t ascii_prefix(std::string_view bytes) noexcept;

struct CodePoint {
  char32_t value = 0;
  std::size_t length = 0;  // bytes
};

// Reads the character at `p` of a text known to be valid UTF-8.
[[nodiscard]] inline CodePoint code_point_at(const char* p) noexcept {
  const auto byte = [p](int i) { return static_cast<char32_t>(static_cast<unsigned char>(p[i])); };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1FU) << 6U | (byte(1) & 0x3FU), 2};
  if (lead < 0xF0) return {(lead & 0x0FU) << 12U | (byte(1) & 0x3FU) << 6U | (byte(2) & 0x3FU), 3};
  return {(lead & 0x07U) << 18U | (byte(1) & 0x3FU) << 12U | (byte(2) & 0x3FU) << 6U | (byte(3) & 0x3FU), 4};
}

// Reads the character that ends before `end`; the text between `begin` and `end` is valid UTF-8 and not
// empty.
[[nodiscard]] inline CodePoint code_point_before(const char* begin, const char* end) noexcept {
  const char* p = end - 1;
  while (p > begin && (static_cast<unsigned char>(*p) & 0xC0U) == 0x80U) --p;
  return code_point_at(p);
}

void append_utf8(char32_t code_point, std::string& out);

}  // namespace qvl
