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

// Formats that people have pictures in and that are not read.
struct OtherFormat {
  std::string_view name;
  std::string_view begin;  // the first bytes, or those behind the first four
  std::size_t at = 0;
};
constexpr std::array<OtherFormat, 18> kOtherFormats{{{"HEIC", "ftypheic", 4},
                                                     {"HEIC", "ftypheix", 4},
                                                     {"HEIC", "ftyphevc", 4},
                                                     {"HEIC", "ftypheim", 4},
                                                     {"HEIC", "ftypheis", 4},
                                                     {"HEIF", "ftypmif1", 4},
                                                     {"HEIF", "ftypmsf1", 4},
                                                     {"AVIF", "ftypavif", 4},
                                                     {"AVIF", "ftypavis", 4},
                                                     {"TIFF", {"II*\0", 4}},
                                                     {"TIFF", {"MM\0*", 4}},
                                                     {"BigTIFF", {"II+\0", 4}},
                                                     {"JPEG XL", "\xff\x0a"},
                                                     {"JPEG XL", "JXL ", 4},
                                                     {"JPEG 2000", "jP  ", 4},
                                                     {"Photoshop", "8BPS"},
                                                     {"PDF", "%PDF"},
                                                     {"SVG", "<svg"}}};

[[noreturn]] void refuse_format(const PictureSource& picture) {
  constexpr std::string_view kTaken = "PNG, JPEG, WebP, GIF and BMP are taken, whatever the file's name";
  for (const OtherFormat& format : kOtherFormats) {
    if (!has_text_at(picture, format.at, format.begin)) continue;
    throw InputError(
        fmt::format("{} is in the format {}, which qvl does not read: convert it to PNG or JPEG ({})",
                    picture.name, format.name, kTaken));
  }
  throw InputError(fmt::format("{} is no picture of a known format (it begins with the bytes {}); {}",
                               picture.name, first_bytes(picture), kTaken));
}

void lay_on_white(DecodedPicture& picture) {
  std::uint8_t* colour = picture.image.pixels().data();
  for (const unsigned alpha : picture.alpha) {
    for (int c = 0; c < 3; ++c, ++colour)
      *colour = static_cast<std::uint8_t>((*colour * alpha + 255U * (255U - alpha) + 127U) / 255U);
  }
}

}  // namespace

RgbImage decode_image(std::span<const std::byte> bytes, std::string_view source, const DecodeOptions& options,
                      bool* transparent) {
  const PictureSource picture{bytes, source, options};
  if (bytes.empty()) throw InputError(fmt::format("{} is empty; a picture was expected", source));
  const Decoder decode = decoder_for(picture);
  if (decode == nullptr) refuse_format(picture);
  DecodedPicture decoded = decode(picture);
  const bool translucent = std::ranges::any_of(decoded.alpha, [](std::uint8_t a) { return a != 255; });
  if (translucent && options.alpha == Alpha::white) lay_on_white(decoded);
  if (transparent != nullptr) *transparent = translucent;
  return upright(std::move(decoded.image), decoded.orientation);
}

RgbImage read_image(const std::filesystem::path& path, const DecodeOptions& options, bool* transparent) {
  const MappedFile file(path);
  return decode_image(file.bytes(), path.string(), options, transparent);
}

}  // namespace qvl
