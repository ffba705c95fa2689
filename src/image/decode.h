// Picture files to RGB.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "image/rgb_image.h"
#include "qvl/input.h"

namespace qvl {

struct DecodeOptions {
  // More than this is refused before anything is allocated. The default is where Pillow raises
  // DecompressionBombError.
  std::uint64_t max_pixels = 178'956'970;
  // Alpha::white is what transformers 5.24 makes of a picture in memory (and qwen-vl-utils of RGBA): Pillow's
  // alpha_composite of convert("RGBA") on white, which is round((colour x alpha + 255 x (255 - alpha)) /
  // 255). What counts as transparent is what it is for Pillow: alpha channels of PNG, WebP and BMP (bit
  // fields), tRNS of PNG (of grey below 8 bits and of 16 bits compared as Pillow does), the transparent index
  // of GIF.
  Alpha alpha = Alpha::white;
};

// Decodes PNG, JPEG, WebP (of an animation the first frame), GIF (the first frame on its logical screen) or
// BMP, told apart by content; `source` names the bytes in messages. The result is what Pillow 13 makes with
// ImageOps.exif_transpose(im).convert("RGB"), with Alpha::white: laid on white before. Upright by the EXIF
// (or XMP) orientation, colour profiles and gamma ignored, grey of 16 bits clamped to 255. An EXIF block that
// cannot be read is ignored. `transparent`, where given, becomes whether the result depends on options.alpha.
// Throws InputError for another format (known ones by name), a damaged or truncated picture, one without
// pixels, and one beyond the most pixels.
[[nodiscard]] RgbImage decode_image(std::span<const std::byte> bytes, std::string_view source,
                                    const DecodeOptions& options = {}, bool* transparent = nullptr);

// The same for a file. Throws InputError also when it cannot be read.
[[nodiscard]] RgbImage read_image(const std::filesystem::path& path, const DecodeOptions& options = {},
                                  bool* transparent = nullptr);

}  // namespace qvl
