#include "text/byte_level.h"

#include <array>
#include <cstdint>

#include "text/utf8.h"

namespace qvl {
namespace {

constexpr char32_t kFirstNumbered = 0x100;
constexpr std::size_t kLetterEnd = 0x144;  // 68 bytes are not printable

constexpr bool is_printable(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr std::array<char32_t, 256> make_letters() {
  std::array<char32_t, 256> letters{};
  char32_t next = kFirstNumbered;
  for (unsigned byte = 0; byte < 256; ++byte) letters[byte] = is_printable(byte) ? byte : next++;
  return letters;
}

constexpr std::array<char32_t, 256> kLetters = make_letters();

constexpr std::array<std::int16_t, kLetterEnd> make_bytes() {
  std::array<std::int16_t, kLetterEnd> bytes{};
  bytes.fill(-1);
  for (std::size_t byte = 0; byte < 256; ++byte) bytes[kLetters[byte]] = static_cast<std::int16_t>(byte);
  return bytes;
}

constexpr std::array<std::int16_t, kLetterEnd> kBytes = make_bytes();

}  // namespace

std::string to_byte_letters(std::string_view bytes) {
  std::string letters;
  letters.reserve(bytes.size() * 2);
  for (const char c : bytes) append_utf8(kLetters[static_cast<unsigned char>(c)], letters);
  return letters;
}

std::optional<std::string> from_byte_letters(std::string_view letters) {
  std::string bytes;
  bytes.reserve(letters.size());
  for (std::size_t i = 0; i < letters.size();) {
    const CodePoint c = code_point_at(letters.data() + i);
    if (c.value >= kLetterEnd || kBytes[c.value] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(kBytes[c.value]));
    i += c.length;
  }
  return bytes;
}

}  // namespace qvl
