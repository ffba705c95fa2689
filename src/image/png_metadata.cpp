#include "image/png_metadata.h"

#include <zlib.h>

#include <optional>
#include <string>
#include <vector>

#include "image/orientation.h"

namespace qvl {
namespace {

constexpr std::size_t kSignature = 8;
constexpr std::size_t kChunkHeader = 8;  // length and name
constexpr std::size_t kChecksum = 4;
constexpr std::size_t kMaxTextBytes = std::size_t{1} << 20U;

// Nothing when it is broken or longer than kMaxTextBytes.
std::optional<std::string> inflated(std::string_view compressed) {
  std::string text(kMaxTextBytes, '\0');
  uLongf length = kMaxTextBytes;
  const int status =
      uncompress(reinterpret_cast<Bytef*>(text.data()), &length,
                 reinterpret_cast<const Bytef*>(compressed.data()), static_cast<uLong>(compressed.size()));
  if (status != Z_OK) return std::nullopt;
  text.resize(length);
  return text;
}

// Splits `text` at its first zero byte: returns what is before, leaves what is behind. Nothing when there is
// none.
std::optional<std::string_view> take_field(std::string_view& text) {
  const std::size_t end = text.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view field = text.substr(0, end);
  text.remove_prefix(end + 1);
  return field;
}

// Three lines of heading, then hexadecimal digits in lines. Empty when there is anything else.
std::vector<std::uint8_t> parse_raw_profile(std::string_view text) {
  for (int line = 0; line < 3; ++line) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  constexpr std::string_view kDigits = "0123456789abcdef0123456789ABCDEF";
  std::vector<std::uint8_t> bytes;
  std::optional<std::size_t> high;
  for (const char c : text) {
    if (c == '\n' || c == '\r' || c == '\t' || c == ' ') continue;
    const std::size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) return {};
    if (high) bytes.push_back(static_cast<std::uint8_t>(*high * 16 + digit % 16));
    high = high ? std::nullopt : std::optional(digit % 16);
  }
  return bytes;
}

// What was found so far; a later chunk replaces an earlier one, as in Pillow.
class Metadata {
 public:
  void take(std::string_view name, std::string_view content) {
    if (name == "eXIf") {
      exif_.assign(content.begin(), content.end());
      has_exif_ = true;
    } else if (name == "tEXt") {
      if (const auto key = take_field(content)) take_text(*key, content);
    } else if (name == "zTXt") {
      take_compressed_text(content);
    } else if (name == "iTXt") {
      take_international_text(content);
    }
  }

  [[nodiscard]] int orientation() const {
    return has_exif_ ? orientation_of(exif_, xmp_) : orientation_of(parse_raw_profile(raw_profile_), xmp_);
  }

 private:
  static bool is_wanted(std::string_view key) {
    return key == "XML:com.adobe.xmp" || key == "Raw profile type exif";
  }

  void take_text(std::string_view key, std::string_view text) {
    if (is_wanted(key)) (key.starts_with('X') ? xmp_ : raw_profile_) = text;
  }

  void take_compressed_text(std::string_view content) {
    const auto key = take_field(content);
    if (!key || !is_wanted(*key) || content.empty() || content[0] != 0) return;  // 0: deflate
    if (const auto text = inflated(content.substr(1))) take_text(*key, *text);
  }

  // Key, zero, whether compressed, how, language, zero, translated key, zero, text.
  void take_international_text(std::string_view content) {
    const auto key = take_field(content);
    if (!key || !is_wanted(*key) || content.size() < 2) return;
    const bool compressed = content[0] != 0;
    if (compressed && content[1] != 0) return;
    content.remove_prefix(2);
    if (!take_field(content) || !take_field(content)) return;
    if (!compressed) {
      take_text(*key, content);
    } else if (const auto text = inflated(content)) {
      take_text(*key, *text);
    }
  }

  std::vector<std::uint8_t> exif_;
  bool has_exif_ = false;
  std::string xmp_;
  std::string raw_profile_;
};

}  // namespace

int png_orientation(const PictureSource& source) {
  Metadata metadata;
  for (std::size_t at = kSignature; at + kChunkHeader <= source.size();) {
    const std::size_t length = load_u32_be(source.data() + at);
    if (length > source.size() - at - kChunkHeader) throw_broken(source, "PNG", "it is truncated");
    const std::string_view chunk(reinterpret_cast<const char*>(source.data() + at + 4), 4 + length);
    const std::string_view name = chunk.substr(0, 4);
    at += kChunkHeader + length;
    if (name == "IEND" || source.size() - at < kChecksum) break;
    const bool wanted = name == "eXIf" || name == "tEXt" || name == "zTXt" || name == "iTXt";
    if (wanted && crc32_z(0, reinterpret_cast<const Bytef*>(chunk.data()), chunk.size()) ==
                      load_u32_be(source.data() + at)) {
      metadata.take(name, chunk.substr(4));
    }
    at += kChecksum;
  }
  return metadata.orientation();
}

}  // namespace qvl
