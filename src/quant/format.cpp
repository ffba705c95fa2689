#include "quant/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <optional>

#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::int64_t kLeastBlock = 16;
constexpr std::int64_t kMostBlock = std::int64_t{1} << 20;

bool is_block(std::int64_t size) {
  return size >= kLeastBlock && size <= kMostBlock && std::has_single_bit(static_cast<std::uint64_t>(size));
}

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
  throw UsageError(fmt::format(
      "no format \"{}\"{}; there are int8, int8:B, int4:B, int8-dynamic and int8-static, B being a power of "
      "two from {} to {} (as int4:32)",
      text, why, kLeastBlock, kMostBlock));
}

// The number that is all of `digits`, written as to_string writes it.
std::optional<std::int64_t> parse_block(std::string_view digits) {
  std::int64_t size = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
  if (error != std::errc() || end != digits.data() + digits.size() || digits.front() == '0')
    return std::nullopt;
  return is_block(size) ? std::optional(size) : std::nullopt;
}

}  // namespace

std::int64_t Format::blocks(std::int64_t depth) const noexcept {
  return block == 0 ? 1 : (depth + block - 1) / block;
}

Format parse_format(std::string_view text) {
  if (text == "int8") return {};
  if (text == "int8-dynamic") return {8, 0, ActivationRounding::dynamic_u8};
  if (text == "int8-static") return {8, 0, ActivationRounding::static_u8};
  if (text == "int4") refuse(text, ": 4 bits need a block");
  for (const int bits : {8, 4}) {
    const std::string_view start = bits == 8 ? "int8:" : "int4:";
    if (!text.starts_with(start)) continue;
    const auto size = parse_block(text.substr(start.size()));
    if (!size) refuse(text, ": no such block");
    return {bits, *size, ActivationRounding::kept};
  }
  refuse(text, "");
}

std::vector<Format> parse_formats(std::string_view text) {
  std::vector<Format> formats;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t end = std::min(text.find(',', start), text.size());
    const Format format = parse_format(text.substr(start, end - start));
    if (std::ranges::find(formats, format) != formats.end()) {
      throw UsageError(
          fmt::format("format {} is named twice in \"{}\"; once is enough", to_string(format), text));
    }
    formats.push_back(format);
    start = end + 1;
  }
  return formats;
}

std::string to_string(const Format& format) {
  if (format.block != 0) return fmt::format("int{}:{}", format.bits, format.block);
  switch (format.activations) {
    case ActivationRounding::dynamic_u8:
      return "int8-dynamic";
    case ActivationRounding::static_u8:
      return "int8-static";
    case ActivationRounding::kept:
      break;
  }
  return fmt::format("int{}", format.bits);
}

void check(const Format& format) {
  const bool channel = format.block == 0 && format.bits == 8;
  const bool blocks = is_block(format.block) && (format.bits == 8 || format.bits == 4) &&
                      format.activations == ActivationRounding::kept;
  if (!channel && !blocks) refuse(to_string(format), "");
}

double bits_per_weight(const Format& format, std::int64_t depth, int scale_bits) {
  check(format);
  if (depth < 1) throw UsageError(fmt::format("an output channel of {} weights; it has one at least", depth));
  const std::int64_t blocks = format.blocks(depth);
  const std::int64_t stored = format.block == 0 ? depth : blocks * format.block;
  return static_cast<double>(stored * format.bits + blocks * scale_bits) / static_cast<double>(depth);
}

}  // namespace qvl
