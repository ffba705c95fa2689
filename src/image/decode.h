// Picture files to RGB.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "image/rgb_image.h"

namespace qvl {

struct DecodeLimits {
  // More than this is refused before anything is allocated. The default is where Pillow raises
  // DecompressionBombError.
  std::uint64_t max_pixels = 178'956'970;
};

// Decodes PNG, JPEG, WebP (of an animation the first frame), GIF (the first frame on its logical screen) or
// BMP, told apart by content; `source` names the bytes in messages. The result is what Pillow 13 makes with
// ImageOps.exif_transpose(im).convert("RGB"): upright by the EXIF (or XMP) orientation, alpha dropped and not
// blended, colour profiles and gamma ignored, grey of 16 bits clamped to 255. An EXIF block that cannot be
// read is ignored. Throws InputError for another format, a damaged or truncated picture, one without pixels,
// and one beyond `limits`.
[[nodiscard]] RgbImage decode_image(std::span<const std::byte> bytes, std::string_view source,
                                    const DecodeLimits& limits = {});

// The same for a file. Throws InputError also when it cannot be read.
[[nodiscard]] RgbImage read_image(const std::filesystem::path& path, const DecodeLimits& limits = {});

}  // namespace qvl
