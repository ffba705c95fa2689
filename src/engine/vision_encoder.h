// Pictures to image embeddings, by the vision artifact.
#pragma once

#include <filesystem>

#include "core/tensor.h"
#include "runtime/session.h"

namespace qvl {

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
