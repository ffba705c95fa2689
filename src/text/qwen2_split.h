// The split pattern of Qwen2 to Qwen2.5, scanned by hand because a regular expression engine is the slowest
// part of encoding otherwise:
//
//   (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
//
// A test proves that it splits as the engine does.
#pragma once

#include <cstdint>
#include <string_view>

#include "text/unicode_kind.h"

namespace qvl {

class Qwen2Splitter {
 public:
  // The pattern's text; only a file that has exactly this one is split here.
  static const std::string_view kPattern;

  // The end of the piece that starts at `begin` < `end` of a valid UTF-8 text; the pieces cover the text.
  [[nodiscard]] const char* piece_end(const char* begin, const char* end) const noexcept;

 private:
  struct Character {
    std::uint8_t kind = 0;
    std::uint8_t length = 0;  // bytes
  };
  [[nodiscard]] Character at(const char* p) const noexcept;
  [[nodiscard]] const char* letters_end(const char* p, const char* end) const noexcept;
  [[nodiscard]] const char* others_end(const char* p, const char* end) const noexcept;
  [[nodiscard]] const char* white_space_end(const char* begin, const char* end) const noexcept;

  const std::uint8_t* kinds_ = unicode_kind::table();
};

}  // namespace qvl
