// Bicubic resampling that equals Pillow's to the bit.
#pragma once

#include "core/isa.h"
#include "image/rgb_image.h"

namespace qvl {

// What Pillow 13 makes of Image.resize((width, height), BICUBIC): one pass along the rows and one along the
// columns, both with 22-bit fixed-point weights and 8-bit values in between. The rows come first, unless the
// height shrinks by more than twice what the width shrinks by; a direction whose size does not change is left
// out. Every isa gives the same bytes. Throws UsageError when a side of `size` or of the picture is not
// positive.
[[nodiscard]] RgbImage resize_bicubic(const RgbImage& image, PixelSize size, Isa isa = best_isa());

}  // namespace qvl
