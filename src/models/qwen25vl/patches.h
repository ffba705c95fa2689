// A picture's patches as the vision encoder takes them, on the host.
// Source: Qwen2VLImageProcessor of transformers (patches in merge-block order; a picture is every frame of a
// patch).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "checkpoint/preprocessor_config.h"
#include "core/tensor.h"
#include "models/qwen25vl/model_config.h"

namespace qvl::qwen25vl {

struct PatchGeometry {
  std::int64_t patch_size = 14;  // pixels
  std::int64_t merge_size = 2;   // patches
  std::int64_t frames = 2;       // temporal patch size
  std::int64_t channels = 3;
};

// Planar f32 [channels, height, width] -> f32 [patches, channels x frames x patch_size^2]: merge blocks row
// by row, the patches of a block row by row, each flattened in the order channel, frame, row, column. Throws
// InputError unless both sides are positive multiples of patch_size x merge_size.
[[nodiscard]] Tensor extract_patches(std::span<const float> planar, std::int64_t height_pixels,
                                     std::int64_t width_pixels, const PatchGeometry& geometry);

// The preprocessor must cut pictures as the vision encoder expects them. Throws InputError that names
// `folder`.
void require_same_patches(const PreprocessorConfig& preprocessor, const VisionConfig& vision,
                          std::string_view folder);

}  // namespace qvl::qwen25vl
