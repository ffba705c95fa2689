#include "engine/vision_encoder.h"

namespace qvl {

Tensor VisionEncoder::encode(const Tensor& pixels, const CancelToken* cancel) const {
  return session_.run({{"pixel_values", pixels.view()}}, {"vision_features"}, cancel).front().copy();
}

}  // namespace qvl
