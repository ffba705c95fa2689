// Classes of characters, as the split patterns of tokenizers need them.
//
// \p{L} and \p{N} are those of Unicode 16, which the regular expression engine of tokenizers 0.23
// (Oniguruma 6.9.10) has; White_Space has not changed since Unicode 6.3. They are kept here as data because
// the system's ICU and PCRE2 know other versions of Unicode, and token ids must not depend on the machine.
#pragma once

#include <cstdint>
#include <span>

namespace qvl {

struct CodePointRange {
  char32_t first = 0;
  char32_t last = 0;  // inclusive
};

// \p{L}; \p{N}; what NFC may change or reorder (not NFC_Quick_Check=Yes, or of a combining class above 0).
[[nodiscard]] std::span<const CodePointRange> letter_ranges() noexcept;
[[nodiscard]] std::span<const CodePointRange> number_ranges() noexcept;
[[nodiscard]] std::span<const CodePointRange> normalizable_ranges() noexcept;
// White_Space: what \s matches.
[[nodiscard]] std::span<const CodePointRange> white_space_ranges() noexcept;

// One byte for each code point: exactly one of the first five bits, and the last one where NFC must look.
namespace unicode_kind {
inline constexpr std::uint8_t kOther = 1;     // everything else: punctuation, marks, symbols, unassigned
inline constexpr std::uint8_t kLetter = 2;    // \p{L}
inline constexpr std::uint8_t kNumber = 4;    // \p{N}
inline constexpr std::uint8_t kSpace = 8;     // White_Space other than
inline constexpr std::uint8_t kNewline = 16;  // carriage return and line feed
inline constexpr std::uint8_t kNormalizable = 32;

// 0x110000 bytes, made at the first call and never freed.
[[nodiscard]] const std::uint8_t* table();
}  // namespace unicode_kind

}  // namespace qvl
