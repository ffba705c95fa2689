#include "models/qwen25vl/patches.h"

#include <fmt/format.h>

#include <algorithm>

#include "qvl/error.h"

namespace qvl::qwen25vl {
namespace {

// Copies one patch, all channels and frames, to `out`; returns the end of what was written.
float* copy_patch(const float* planar, std::int64_t height, std::int64_t width, std::int64_t top,
                  std::int64_t left, const PatchGeometry& g, float* out) {
  for (std::int64_t channel = 0; channel < g.channels; ++channel) {
    const float* plane = planar + channel * height * width;
    for (std::int64_t frame = 0; frame < g.frames; ++frame) {
      for (std::int64_t y = top; y < top + g.patch_size; ++y) {
        out = std::copy_n(plane + y * width + left, g.patch_size, out);
      }
    }
  }
  return out;
}

}  // namespace

Tensor extract_patches(std::span<const float> planar, std::int64_t height_pixels, std::int64_t width_pixels,
                       const PatchGeometry& g) {
  const std::int64_t block = g.patch_size * g.merge_size;
  if (height_pixels <= 0 || width_pixels <= 0 || height_pixels % block != 0 || width_pixels % block != 0 ||
      static_cast<std::int64_t>(planar.size()) != g.channels * height_pixels * width_pixels) {
    throw InputError(
        fmt::format("patches of a picture of {} x {} pixels and {} values; sides must be multiples of {}",
                    width_pixels, height_pixels, planar.size(), block));
  }
  const std::int64_t patches = height_pixels / g.patch_size * (width_pixels / g.patch_size);
  Tensor result(DType::f32, {patches, g.channels * g.frames * g.patch_size * g.patch_size});
  float* out = result.as<float>().data();
  for (std::int64_t block_top = 0; block_top < height_pixels; block_top += block) {
    for (std::int64_t block_left = 0; block_left < width_pixels; block_left += block) {
      for (std::int64_t i = 0; i < g.merge_size * g.merge_size; ++i) {
        out = copy_patch(planar.data(), height_pixels, width_pixels,
                         block_top + i / g.merge_size * g.patch_size,
                         block_left + i % g.merge_size * g.patch_size, g, out);
      }
    }
  }
  return result;
}

void require_same_patches(const PreprocessorConfig& preprocessor, const VisionConfig& vision,
                          std::string_view folder) {
  if (preprocessor.patch_size == vision.patch_size && preprocessor.merge_size == vision.spatial_merge_size &&
      preprocessor.temporal_patch_size == vision.temporal_patch_size) {
    return;
  }
  throw InputError(
      fmt::format("{}: its preprocessor makes patches of {} frames x {} pixels, merged {} x {}; config.json "
                  "asks for {} frames x {} "
                  "pixels, merged {} x {}",
                  folder, preprocessor.temporal_patch_size, preprocessor.patch_size, preprocessor.merge_size,
                  preprocessor.merge_size, vision.temporal_patch_size, vision.patch_size,
                  vision.spatial_merge_size, vision.spatial_merge_size));
}

}  // namespace qvl::qwen25vl
