#include "models/picture_pixels.h"

#include <algorithm>
#include <array>

#include "image/normalize.h"
#include "image/resize.h"

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

Tensor fixed_size_pixels(const RgbImage& picture, PixelSize size, const PreprocessorConfig& preprocessor) {
  return normalised_pixels(resize_bicubic(picture, size), preprocessor);
}

}  // namespace qvl
