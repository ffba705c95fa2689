// A decoded and resized picture as numbers for the vision encoder.
#pragma once

#include "checkpoint/preprocessor_config.h"
#include "core/tensor.h"
#include "image/rgb_image.h"

namespace qvl {

// f32 [1, 3, height, width]: (x / 255 - mean) / std, as the checkpoint's preprocessor wants it.
[[nodiscard]] Tensor normalised_pixels(const RgbImage& picture, const PreprocessorConfig& preprocessor);

}  // namespace qvl
