// Pixels to the numbers that the vision model takes.
#pragma once

#include <array>
#include <span>

#include "image/rgb_image.h"

namespace qvl {

// Writes [3, height, width] f32: (x / 255 - mean[c]) / deviation[c], each operation rounded to float. That is
// bit for bit what transformers' Qwen2VLImageProcessorPil gives. Throws UsageError when `out_chw` has another
// number of elements or a deviation is zero.
void normalize_planar(const RgbImage& image, const std::array<float, 3>& mean,
                      const std::array<float, 3>& deviation, std::span<float> out_chw);

}  // namespace qvl
