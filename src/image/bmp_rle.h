// The two run-length codes of Windows bitmaps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "image/pixel_size.h"

namespace qvl {

enum class BmpRle { rle8, rle4 };

// Colour indices [height, width] u8 in the order of the file (usually the lowest row first). `file` is the
// whole file and `offset` where the code begins. Nothing when the code ends before the picture does. Pixels
// that the code skips are 0. Details left open by the format are as in Pillow: words are aligned within the
// file, runs end with the row.
[[nodiscard]] std::optional<std::vector<std::uint8_t>> expand_bmp_rle(BmpRle code,
                                                                      std::span<const std::uint8_t> file,
                                                                      std::size_t offset, PixelSize size);

}  // namespace qvl
