#include "models/qwen25vl/picture_input.h"

#include <fmt/format.h>

#include <algorithm>

#include "image/normalize.h"
#include "qvl/error.h"

namespace qvl {

Tensor normalised_pixels(const RgbImage& picture, const PreprocessorConfig& preprocessor) {
  std::array<float, 3> mean{};
  std::array<float, 3> deviation{};
  std::ranges::transform(preprocessor.image_mean, mean.begin(),
                         [](double x) { return static_cast<float>(x); });
  std::ranges::transform(preprocessor.image_std, deviation.begin(),
                         [](double x) { return static_cast<float>(x); });
  Tensor pixels(DType::f32, {1, RgbImage::kChannels, picture.height(), picture.width()});
  normalize_planar(picture, mean, deviation, pixels.as<float>());
  return pixels;
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

}  // namespace qvl
