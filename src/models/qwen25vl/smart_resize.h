// The size at which the model looks at a picture.
#pragma once

#include <cstdint>
#include <string_view>

#include "image/pixel_size.h"

namespace qvl::qwen25vl {

// The multiple of `factor` (pixels of a merge block's side) nearest to `size` that keeps roughly the aspect
// ratio and has min_pixels to max_pixels pixels: smart_resize of transformers' Qwen2VLImageProcessor, with
// Python's rounding (half to even). Throws InputError when a side is zero or one is more than 200 times the
// other, UsageError when factor or a bound is not positive, factor is over 65536 or min_pixels exceeds
// max_pixels.
[[nodiscard]] PixelSize smart_resize(PixelSize size, std::int64_t factor, std::int64_t min_pixels,
                                     std::int64_t max_pixels);

// The shapes that smart_resize refuses make no sense at a fixed size either. Throws InputError, naming
// `source`, when a side is zero or one is more than 200 times the other.
void require_usable_shape(PixelSize size, std::string_view source);

}  // namespace qvl::qwen25vl
