// A decoded picture.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "image/pixel_size.h"

namespace qvl {

// Owns [height, width, 3] u8: rows from the top, pixels from the left, R, G, B; no padding between rows.
class RgbImage {
 public:
  static constexpr std::int64_t kChannels = 3;

  RgbImage() = default;
  // Black. Throws UsageError when a side is negative or the bytes cannot be counted, MachineError when there
  // is no memory for them.
  explicit RgbImage(PixelSize size);

  [[nodiscard]] PixelSize size() const noexcept { return size_; }
  [[nodiscard]] std::int64_t height() const noexcept { return size_.height; }
  [[nodiscard]] std::int64_t width() const noexcept { return size_.width; }
  [[nodiscard]] std::int64_t row_bytes() const noexcept { return size_.width * kChannels; }

  [[nodiscard]] std::span<std::uint8_t> pixels() noexcept { return pixels_; }
  [[nodiscard]] std::span<const std::uint8_t> pixels() const noexcept { return pixels_; }
  [[nodiscard]] std::uint8_t* row(std::int64_t y) noexcept { return pixels_.data() + y * row_bytes(); }
  [[nodiscard]] const std::uint8_t* row(std::int64_t y) const noexcept {
    return pixels_.data() + y * row_bytes();
  }

  friend bool operator==(const RgbImage&, const RgbImage&) = default;

 private:
  PixelSize size_;
  std::vector<std::uint8_t> pixels_;
};

}  // namespace qvl
