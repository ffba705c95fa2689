#include "models/qwen25vl/smart_resize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "qvl/error.h"

namespace qvl::qwen25vl {
namespace {

constexpr double kMaxAspectRatio = 200.0;
constexpr std::int64_t kMaxFactor = 65536;  // keeps every sum below within 63 bits

// Python's round(): half to even, whatever the rounding mode of the floating-point unit.
double round_half_even(double value) {
  const double below = std::floor(value);
  const double fraction = value - below;
  if (fraction < 0.5) return below;
  if (fraction > 0.5) return below + 1.0;
  return std::fmod(below, 2.0) == 0.0 ? below : below + 1.0;
}

}  // namespace

PixelSize smart_resize(PixelSize size, std::int64_t factor, std::int64_t min_pixels,
                       std::int64_t max_pixels) {
  if (factor < 1 || factor > kMaxFactor || min_pixels < 1 || max_pixels < min_pixels) {
    throw UsageError(fmt::format("a picture cannot be resized to multiples of {} with {} to {} pixels",
                                 factor, min_pixels, max_pixels));
  }
  require_usable_shape(size, "smart_resize");
  const auto height = static_cast<double>(size.height);
  const auto width = static_cast<double>(size.width);
  const auto unit = static_cast<double>(factor);
  double new_height = round_half_even(height / unit) * unit;
  double new_width = round_half_even(width / unit) * unit;
  if (new_height * new_width > static_cast<double>(max_pixels)) {
    const double beta = std::sqrt(height * width / static_cast<double>(max_pixels));
    new_height = std::max(unit, std::floor(height / beta / unit) * unit);
    new_width = std::max(unit, std::floor(width / beta / unit) * unit);
  } else if (new_height * new_width < static_cast<double>(min_pixels)) {
    const double beta = std::sqrt(static_cast<double>(min_pixels) / (height * width));
    new_height = std::ceil(height * beta / unit) * unit;
    new_width = std::ceil(width * beta / unit) * unit;
  }
  return {static_cast<std::int64_t>(new_height), static_cast<std::int64_t>(new_width)};
}

void require_usable_shape(PixelSize size, std::string_view source) {
  if (size.height < 1 || size.width < 1) {
    throw InputError(
        fmt::format("{}: a picture of {}x{} pixels has nothing to look at", source, size.width, size.height));
  }
  const auto longer = static_cast<double>(std::max(size.height, size.width));
  const auto shorter = static_cast<double>(std::min(size.height, size.width));
  if (longer / shorter > kMaxAspectRatio) {
    throw InputError(
        fmt::format("{}: a picture of {}x{} pixels is too long; one side may be at most {} times the other",
                    source, size.width, size.height, kMaxAspectRatio));
  }
}

}  // namespace qvl::qwen25vl
