// Pictures to image embeddings, by the vision artifact.
#pragma once

#include <filesystem>
#include <vector>

#include "core/tensor.h"
#include "folder/model_folder.h"
#include "image/rgb_image.h"
#include "runtime/session.h"

namespace qvl {

// f32 [1, 3, height, width]: the picture stretched to the size (Pillow's bicubic) and normalised.
[[nodiscard]] Tensor fixed_size_pixels(const RgbImage& picture, PixelSize size,
                                       const PreprocessorConfig& preprocessor);

class VisionEncoder {
 public:
  // Loads the artifact. Throws as Session does.
  VisionEncoder(const std::filesystem::path& artifact, const SessionOptions& options)
      : session_(artifact, options) {}

  // `pixels` as fixed_size_pixels gives them -> f32 [image tokens, hidden].
  [[nodiscard]] Tensor encode(const Tensor& pixels, const CancelToken* cancel) const;

 private:
  Session session_;
};

}  // namespace qvl
