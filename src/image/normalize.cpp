#include "image/normalize.h"

#include <fmt/format.h>

#include <cstddef>

#include "qvl/error.h"

namespace qvl {

void normalize_planar(const RgbImage& image, const std::array<float, 3>& mean,
                      const std::array<float, 3>& deviation, std::span<float> out_chw) {
  if (out_chw.size() != image.pixels().size()) {
    throw UsageError(fmt::format("a picture of {}x{} pixels normalized into a space for {} numbers",
                                 image.width(), image.height(), out_chw.size()));
  }
  std::array<std::array<float, 256>, 3> table;
  for (std::size_t c = 0; c < 3; ++c) {
    if (!(deviation[c] != 0.0F))
      throw UsageError(fmt::format("image_std {} of channel {} is zero or no number", deviation[c], c));
    for (std::size_t i = 0; i < 256; ++i)
      table[c][i] = (static_cast<float>(i) / 255.0F - mean[c]) / deviation[c];
  }
  const std::size_t plane = out_chw.size() / 3;
  const std::uint8_t* rgb = image.pixels().data();
  float* red = out_chw.data();
  float* green = red + plane;
  float* blue = green + plane;
  for (std::size_t i = 0; i < plane; ++i, rgb += 3) {
    red[i] = table[0][rgb[0]];
    green[i] = table[1][rgb[1]];
    blue[i] = table[2][rgb[2]];
  }
}

}  // namespace qvl
