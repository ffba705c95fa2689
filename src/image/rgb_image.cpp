#include "image/rgb_image.h"

#include <fmt/format.h>

#include <array>
#include <new>

#include "core/shape.h"
#include "qvl/error.h"

namespace qvl {

RgbImage::RgbImage(PixelSize size) : size_(size) {
  const std::array<std::int64_t, 3> shape{size.height, size.width, kChannels};
  const auto count = element_count(shape);
  if (!count) {
    throw UsageError(fmt::format("no picture can be {} pixels wide and {} high", size.width, size.height));
  }
  try {
    pixels_.resize(static_cast<std::size_t>(*count));
  } catch (const std::exception&) {  // bad_alloc, or length_error for more than a vector can ever hold
    throw MachineError(
        fmt::format("no memory for a picture of {}x{} pixels ({} bytes)", size.width, size.height, *count));
  }
}

}  // namespace qvl
