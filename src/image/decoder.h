// What the decoders of the formats share. Internal to this layer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "image/decode.h"
#include "image/rgb_image.h"

namespace qvl {

// A picture file in memory. Does not own.
struct PictureSource {
  std::span<const std::byte> bytes;
  std::string_view name;
  DecodeOptions limits;

  [[nodiscard]] const std::uint8_t* data() const noexcept {
    return reinterpret_cast<const std::uint8_t*>(bytes.data());
  }
  [[nodiscard]] std::size_t size() const noexcept { return bytes.size(); }
};

// Pixels as stored, and how to turn them (1 to 8 as in EXIF; anything else leaves them).
struct DecodedPicture {
  RgbImage image;
  int orientation = 1;
  std::vector<std::uint8_t> alpha = {};  // a byte for each pixel; empty where all are opaque
};

// Each throws InputError for bytes it cannot decode.
[[nodiscard]] DecodedPicture decode_png(const PictureSource& source);
[[nodiscard]] DecodedPicture decode_jpeg(const PictureSource& source);
[[nodiscard]] DecodedPicture decode_webp(const PictureSource& source);
[[nodiscard]] DecodedPicture decode_gif(const PictureSource& source);
[[nodiscard]] DecodedPicture decode_bmp(const PictureSource& source);

// The size, once it is known to have pixels and to be within the limits. Throws InputError otherwise. To be
// called before anything of that size is allocated.
[[nodiscard]] PixelSize checked_size(const PictureSource& source, std::uint64_t width, std::uint64_t height);

// InputError "NAME is not a whole FORMAT picture: WHY".
[[noreturn]] void throw_broken(const PictureSource& source, std::string_view format, std::string_view why);

// Little-endian numbers of file formats; the caller has checked that the bytes are there.
[[nodiscard]] inline std::uint16_t load_u16_le(const std::uint8_t* p) noexcept {
  return static_cast<std::uint16_t>(p[0] | (p[1] << 8U));
}
[[nodiscard]] inline std::uint32_t load_u32_le(const std::uint8_t* p) noexcept {
  return static_cast<std::uint32_t>(load_u16_le(p)) | (static_cast<std::uint32_t>(load_u16_le(p + 2)) << 16U);
}
[[nodiscard]] inline std::uint16_t load_u16_be(const std::uint8_t* p) noexcept {
  return static_cast<std::uint16_t>((p[0] << 8U) | p[1]);
}
[[nodiscard]] inline std::uint32_t load_u32_be(const std::uint8_t* p) noexcept {
  return (static_cast<std::uint32_t>(load_u16_be(p)) << 16U) | load_u16_be(p + 2);
}

}  // namespace qvl
