#include "engine/vision_encoder.h"

#include "image/resize.h"
#include "models/qwen25vl/picture_input.h"

namespace qvl {

Tensor fixed_size_pixels(const RgbImage& picture, PixelSize size, const PreprocessorConfig& preprocessor) {
  return normalised_pixels(resize_bicubic(picture, size), preprocessor);
}

Tensor VisionEncoder::encode(const Tensor& pixels, const CancelToken* cancel) const {
  return session_.run({{"pixel_values", pixels.view()}}, {"vision_features"}, cancel).front().copy();
}

}  // namespace qvl
