#include "core/base64.h"

#include <array>
#include <cstdint>

namespace qvl {
namespace {

constexpr int kNone = -1;

// The 6 bits of a letter.
constexpr std::array<int, 256> kValues = [] {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::array<int, 256> values{};
  values.fill(kNone);
  for (std::size_t i = 0; i < kLetters.size(); ++i)
    values[static_cast<unsigned char>(kLetters[i])] = static_cast<int>(i);
  return values;
}();

}  // namespace

std::optional<std::vector<std::byte>> decode_base64(std::string_view text) {
  std::vector<std::byte> bytes;
  bytes.reserve(text.size() / 4 * 3 + 3);
  std::uint32_t bits = 0;
  std::size_t letters = 0;
  std::size_t padding = 0;
  for (const char c : text) {
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') continue;
    if (c == '=') {
      ++padding;
      continue;
    }
    const int value = kValues[static_cast<unsigned char>(c)];
    if (value == kNone || padding > 0) return std::nullopt;
    bits = (bits << 6U) | static_cast<std::uint32_t>(value);
    if (++letters % 4 != 0) continue;
    for (const unsigned shift : {16U, 8U, 0U})
      bytes.push_back(static_cast<std::byte>((bits >> shift) & 0xffU));
    bits = 0;
  }
  const std::size_t rest = letters % 4;
  if (rest == 1 || (padding > 0 && (rest == 0 || padding != 4 - rest))) return std::nullopt;
  if (rest >= 2) bytes.push_back(static_cast<std::byte>((bits >> (rest == 2 ? 4U : 10U)) & 0xffU));
  if (rest == 3) bytes.push_back(static_cast<std::byte>((bits >> 2U) & 0xffU));
  return bytes;
}

}  // namespace qvl
