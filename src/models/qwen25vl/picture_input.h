// A decoded and resized picture as numbers for the vision encoder.
#pragma once

#include <string_view>

#include "checkpoint/model_config.h"
#include "checkpoint/preprocessor_config.h"
#include "core/tensor.h"
#include "image/rgb_image.h"

namespace qvl {

// f32 [1, 3, height, width]: (x / 255 - mean) / std, as the checkpoint's preprocessor wants it.
[[nodiscard]] Tensor normalised_pixels(const RgbImage& picture, const PreprocessorConfig& preprocessor);

// The preprocessor must cut pictures as the vision encoder expects them. Throws InputError that names
// `folder`.
void require_same_patches(const PreprocessorConfig& preprocessor, const VisionConfig& vision,
                          std::string_view folder);

}  // namespace qvl
