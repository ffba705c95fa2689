// The byte-level alphabet of GPT-2 (bytes_to_unicode in its encoder.py): a printable character for each byte,
// so that a vocabulary of byte strings can be written as text. Printable Latin-1 bytes stand for themselves,
// the others are numbered from U+0100 on; a space is "Ġ".
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace qvl {

// The letters of the bytes.
[[nodiscard]] std::string to_byte_letters(std::string_view bytes);

// The bytes that the letters of a text (valid UTF-8) stand for; nothing when a character is not of the
// alphabet.
[[nodiscard]] std::optional<std::string> from_byte_letters(std::string_view letters);

}  // namespace qvl
