#include "image/decoder.h"

#include <fmt/format.h>

#include "qvl/error.h"

namespace qvl {

PixelSize checked_size(const PictureSource& source, std::uint64_t width, std::uint64_t height) {
  if (width == 0 || height == 0) {
    throw InputError(fmt::format("{} has no pixels: its size is {}x{}", source.name, width, height));
  }
  // Division instead of a product that might overflow.
  if (width > source.limits.max_pixels || height > source.limits.max_pixels / width) {
    throw InputError(fmt::format("{} is too large: {}x{} pixels; at most {} pixels are taken", source.name,
                                 width, height, source.limits.max_pixels));
  }
  return {static_cast<std::int64_t>(height), static_cast<std::int64_t>(width)};
}

void throw_broken(const PictureSource& source, std::string_view format, std::string_view why) {
  throw InputError(fmt::format("{} is not a whole {} picture: {}", source.name, format, why));
}

}  // namespace qvl
