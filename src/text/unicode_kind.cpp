#include "text/unicode_kind.h"

#include <vector>

namespace qvl {
namespace {

constexpr CodePointRange kWhiteSpace[] = {
    {0x9, 0xd},       {0x20, 0x20},     {0x85, 0x85},     {0xa0, 0xa0},     {0x1680, 0x1680},
    {0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}};

constexpr std::size_t kCodePoints = 0x110000;

void set_kind(std::vector<std::uint8_t>& kinds, std::span<const CodePointRange> ranges, std::uint8_t kind) {
  for (const CodePointRange& range : ranges) {
    for (std::size_t c = range.first; c <= range.last; ++c) kinds[c] = kind;
  }
}

std::vector<std::uint8_t> make_table() {
  std::vector<std::uint8_t> kinds(kCodePoints, unicode_kind::kOther);
  set_kind(kinds, letter_ranges(), unicode_kind::kLetter);
  set_kind(kinds, number_ranges(), unicode_kind::kNumber);
  set_kind(kinds, white_space_ranges(), unicode_kind::kSpace);
  kinds[U'\r'] = unicode_kind::kNewline;
  kinds[U'\n'] = unicode_kind::kNewline;
  for (const CodePointRange& range : normalizable_ranges()) {
    for (std::size_t c = range.first; c <= range.last; ++c) kinds[c] |= unicode_kind::kNormalizable;
  }
  return kinds;
}

}  // namespace

std::span<const CodePointRange> white_space_ranges() noexcept { return kWhiteSpace; }

const std::uint8_t* unicode_kind::table() {
  static const std::vector<std::uint8_t> kinds = make_table();
  return kinds.data();
}

}  // namespace qvl
