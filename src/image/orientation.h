// How a picture must be turned to stand upright.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "image/rgb_image.h"

namespace qvl {

// The Orientation tag (274) of an EXIF block: a TIFF structure, with or without "Exif\0\0" before it. Nothing
// when the tag is missing or the block is broken. As Pillow reads it: first image directory, first such tag,
// first value; a type that is no number gives 1.
[[nodiscard]] std::optional<int> exif_orientation(std::span<const std::uint8_t> exif);

// tiff:Orientation of an XMP packet, which Pillow looks at when the EXIF block has no such tag.
[[nodiscard]] std::optional<int> xmp_orientation(std::string_view xmp);

// 1 when neither has one.
[[nodiscard]] int orientation_of(std::span<const std::uint8_t> exif, std::string_view xmp);

// Turns and mirrors by an EXIF orientation: 1 to 8; any other number leaves the picture as it is.
[[nodiscard]] RgbImage upright(RgbImage image, int orientation);

}  // namespace qvl
