#include "image/bmp_rle.h"

#include <algorithm>
#include <utility>

namespace qvl {
namespace {

class Expander {
 public:
  Expander(BmpRle code, std::span<const std::uint8_t> file, std::size_t offset, PixelSize size)
      : code_(code),
        file_(file),
        at_(offset),
        width_(static_cast<std::size_t>(size.width)),
        indices_(width_ * static_cast<std::size_t>(size.height)) {}

  std::optional<std::vector<std::uint8_t>> run() {
    while (filled_ < indices_.size() && has(2)) {
      const std::uint8_t count = file_[at_];
      const std::uint8_t value = file_[at_ + 1];
      at_ += 2;
      if (count > 0) {
        repeat(count, value);
      } else if (!escape(value)) {
        break;
      }
    }
    if (filled_ < indices_.size()) return std::nullopt;
    return std::move(indices_);
  }

 private:
  [[nodiscard]] bool has(std::size_t count) const {
    return at_ <= file_.size() && count <= file_.size() - at_;
  }
  [[nodiscard]] std::size_t left() const { return indices_.size() - filled_; }

  void repeat(std::size_t count, std::uint8_t value) {
    count = std::min({count, width_ - std::min(x_, width_), left()});
    for (std::size_t i = 0; i < count; ++i) {
      indices_[filled_++] =
          code_ == BmpRle::rle8 ? value : static_cast<std::uint8_t>(i % 2 == 0 ? value >> 4U : value & 15U);
    }
    x_ += count;
  }

  // False at the end of the code.
  bool escape(std::uint8_t what) {
    if (what == 0) {  // end of the row
      skip((width_ - filled_ % width_) % width_);
      x_ = 0;
      return true;
    }
    if (what == 1) return false;  // end of the picture
    if (what == 2) {              // a step to the right and onwards
      if (!has(2)) return false;
      skip(file_[at_] + file_[at_ + 1] * width_);
      at_ += 2;
      x_ = filled_ % width_;
      return true;
    }
    return copy(what);
  }

  bool copy(std::uint8_t pixels) {
    const std::size_t count = std::min<std::size_t>(pixels, left());
    const std::size_t bytes = code_ == BmpRle::rle8 ? count : (count + 1) / 2;
    if (!has(bytes)) return false;
    for (std::size_t i = 0; i < count; ++i) {
      if (code_ == BmpRle::rle8) {
        indices_[filled_++] = file_[at_ + i];
      } else {
        const std::uint8_t both = file_[at_ + i / 2];
        indices_[filled_++] = static_cast<std::uint8_t>(i % 2 == 0 ? both >> 4U : both & 15U);
      }
    }
    at_ += bytes;
    x_ += pixels;
    at_ += at_ % 2;
    return true;
  }

  void skip(std::size_t pixels) { filled_ += std::min(pixels, left()); }

  BmpRle code_;
  std::span<const std::uint8_t> file_;
  std::size_t at_;
  std::size_t width_;
  std::vector<std::uint8_t> indices_;
  std::size_t filled_ = 0;
  std::size_t x_ = 0;  // what the code has reached in its row; beyond the width when a copy ran over
};

}  // namespace

std::optional<std::vector<std::uint8_t>> expand_bmp_rle(BmpRle code, std::span<const std::uint8_t> file,
                                                        std::size_t offset, PixelSize size) {
  return Expander(code, file, offset, size).run();
}

}  // namespace qvl
