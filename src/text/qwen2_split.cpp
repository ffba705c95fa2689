#include "text/qwen2_split.h"

#include <bit>
#include <cstring>

#include "text/utf8.h"

namespace qvl {
namespace {

using namespace unicode_kind;

constexpr std::uint64_t kEachByte = 0x0101010101010101U;
constexpr std::uint64_t kHighBits = 0x80 * kEachByte;

// The number of ASCII letters at the front of eight bytes.
int leading_letters(const char* p) noexcept {
  static_assert(std::endian::native == std::endian::little);
  std::uint64_t word = 0;
  std::memcpy(&word, p, 8);
  const std::uint64_t lower = (word | 0x20 * kEachByte) & ~kHighBits;
  const std::uint64_t from_a = lower + (0x80 - 'a') * kEachByte;        // high bit: at least 'a'
  const std::uint64_t beyond_z = lower + (0x80 - 'z' - 1) * kEachByte;  // high bit: more than 'z'
  const std::uint64_t not_letter = ~(from_a & ~beyond_z & ~word) & kHighBits;
  return std::countr_zero(not_letter) / 8;
}

char lower_ascii(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

// The length of 's 't 're 've 'm 'll 'd in either case, 0 for anything else. U+017F (long s) folds to s.
std::size_t contraction(const char* p, const char* end) noexcept {
  const auto left = end - p;
  if (left < 2) return 0;
  const char first = lower_ascii(p[1]);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  if (left < 3) return 0;
  const char second = lower_ascii(p[2]);
  if ((first == 'r' || first == 'v') && second == 'e') return 3;
  if (first == 'l' && second == 'l') return 3;
  if (p[1] == '\xC5' && p[2] == '\xBF') return 3;
  return 0;
}

}  // namespace

const std::string_view Qwen2Splitter::kPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

Qwen2Splitter::Character Qwen2Splitter::at(const char* p) const noexcept {
  const auto byte = static_cast<unsigned char>(*p);
  if (byte < 0x80) return {kinds_[byte], 1};
  const CodePoint c = code_point_at(p);
  return {kinds_[c.value], static_cast<std::uint8_t>(c.length)};
}

const char* Qwen2Splitter::letters_end(const char* p, const char* end) const noexcept {
  while (true) {
    while (end - p >= 8) {
      const int letters = leading_letters(p);
      p += letters;
      if (letters < 8) break;
    }
    if (p == end) return p;
    const Character c = at(p);
    if ((c.kind & kLetter) == 0) return p;
    p += c.length;
    // A script other than Latin goes on in itself mostly.
    while (p != end && static_cast<unsigned char>(*p) >= 0x80) {
      const Character next = at(p);
      if ((next.kind & kLetter) == 0) return p;
      p += next.length;
    }
  }
}

const char* Qwen2Splitter::others_end(const char* p, const char* end) const noexcept {
  while (p != end) {
    const Character c = at(p);
    if ((c.kind & kOther) == 0) break;
    p += c.length;
  }
  while (p != end && (*p == '\r' || *p == '\n')) ++p;
  return p;
}

// \s*[\r\n]+|\s+(?!\S)|\s+ at a white space: up to the last line end of the run if there is one; else all of
// it when the text ends there; else all but the last character, which goes with what follows.
const char* Qwen2Splitter::white_space_end(const char* begin, const char* end) const noexcept {
  const char* p = begin;
  const char* last = begin;  // the start of the run's last character
  const char* line_end = nullptr;
  while (p != end) {
    const Character c = at(p);
    if ((c.kind & (kSpace | kNewline)) == 0) break;
    last = p;
    p += c.length;
    if ((c.kind & kNewline) != 0) line_end = p;
  }
  if (line_end != nullptr) return line_end;
  return p == end || last == begin ? p : last;
}

const char* Qwen2Splitter::piece_end(const char* begin, const char* end) const noexcept {
  const Character c = at(begin);
  const char* next = begin + c.length;
  if ((c.kind & kLetter) != 0) return letters_end(next, end);
  if ((c.kind & kNumber) != 0) return next;
  if ((c.kind & kNewline) == 0) {
    if (*begin == '\'') {
      if (const std::size_t length = contraction(begin, end); length != 0) return begin + length;
    }
    if (next != end) {
      const Character second = at(next);
      if ((second.kind & kLetter) != 0) return letters_end(next + second.length, end);
      if (*begin == ' ' && (second.kind & kOther) != 0) return others_end(next, end);
    }
    if ((c.kind & kOther) != 0) return others_end(next, end);
  }
  return white_space_end(begin, end);
}

}  // namespace qvl
