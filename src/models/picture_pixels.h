// Pictures as numbers for a vision encoder.
#pragma once

#include "checkpoint/preprocessor_config.h"
#include "core/tensor.h"
#include "image/pixel_size.h"
#include "image/rgb_image.h"

namespace qvl {

// f32 [1, 3, height, width]: (x / 255 - mean) / std, as the checkpoint's preprocessor wants it.
[[nodiscard]] Tensor normalised_pixels(const RgbImage& picture, const PreprocessorConfig& preprocessor);

// The same of the picture stretched to a size (Pillow's bicubic).
[[nodiscard]] Tensor fixed_size_pixels(const RgbImage& picture, PixelSize size,
                                       const PreprocessorConfig& preprocessor);

}  // namespace qvl
