// The size of a picture in pixels, in the order of tensors: height first.
#pragma once

#include <cstdint>

namespace qvl {

struct PixelSize {
  std::int64_t height = 0;
  std::int64_t width = 0;

  friend bool operator==(const PixelSize&, const PixelSize&) = default;
};

}  // namespace qvl
