#include "image/decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "core/mapped_file.h"
#include "image/decoder.h"
#include "image/orientation.h"
#include "qvl/error.h"

namespace qvl {
namespace {

using Decoder = DecodedPicture (*)(const PictureSource&);

bool has_text_at(const PictureSource& source, std::size_t offset, std::string_view text) {
  return source.size() >= offset + text.size() &&
         std::equal(text.begin(), text.end(), source.data() + offset,
                    [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; });
}

// Two letters are too few to tell a bitmap from a text, so the size of its second header is looked at too.
bool is_bmp(const PictureSource& source) {
  constexpr std::array<std::uint32_t, 7> kHeaderSizes{12, 40, 52, 56, 64, 108, 124};
  if (!has_text_at(source, 0, "BM")) return false;
  return source.size() < 18 || std::find(kHeaderSizes.begin(), kHeaderSizes.end(),
                                         load_u32_le(source.data() + 14)) != kHeaderSizes.end();
}

Decoder decoder_for(const PictureSource& source) {
  if (has_text_at(source, 0, "\x89PNG\r\n\x1a\n")) return decode_png;
  if (has_text_at(source, 0, "\xff\xd8\xff")) return decode_jpeg;
  if (has_text_at(source, 0, "RIFF") && has_text_at(source, 8, "WEBP")) return decode_webp;
  if (has_text_at(source, 0, "GIF87a") || has_text_at(source, 0, "GIF89a")) return decode_gif;
  if (is_bmp(source)) return decode_bmp;
  return nullptr;
}

std::string first_bytes(const PictureSource& source) {
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(source.size(), 8); ++i) {
    text += fmt::format("{}{:02x}", i == 0 ? "" : " ", source.data()[i]);
  }
  return text;
}

}  // namespace

RgbImage decode_image(std::span<const std::byte> bytes, std::string_view source, const DecodeLimits& limits) {
  const PictureSource picture{bytes, source, limits};
  if (bytes.empty()) throw InputError(fmt::format("{} is empty; a picture was expected", source));
  const Decoder decode = decoder_for(picture);
  if (decode == nullptr) {
    throw InputError(
        fmt::format("{} is no picture of a known format (it begins with the bytes {}); PNG, JPEG, WebP, GIF "
                    "and BMP are taken, whatever the file's name",
                    source, first_bytes(picture)));
  }
  DecodedPicture decoded = decode(picture);
  return upright(std::move(decoded.image), decoded.orientation);
}

RgbImage read_image(const std::filesystem::path& path, const DecodeLimits& limits) {
  const MappedFile file(path);
  return decode_image(file.bytes(), path.string(), limits);
}

}  // namespace qvl
