#include "image/orientation.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <utility>

namespace qvl {
namespace {

constexpr std::uint16_t kOrientationTag = 274;

// The types of TIFF 6.0 section 2.
enum Type : std::uint16_t {
  kByte = 1,
  kAscii = 2,
  kShort = 3,
  kLong = 4,
  kRational = 5,
  kSignedByte = 6,
  kUndefined = 7,
  kSignedShort = 8,
  kSignedLong = 9,
  kSignedRational = 10,
  kFloat = 11,
  kDouble = 12,
  kDirectory = 13,
  kLong8 = 16,
};

std::uint64_t size_bytes(std::uint16_t type) {
  switch (type) {
    case kByte:
    case kAscii:
    case kSignedByte:
    case kUndefined:
      return 1;
    case kShort:
    case kSignedShort:
      return 2;
    case kLong:
    case kSignedLong:
    case kFloat:
    case kDirectory:
      return 4;
    case kRational:
    case kSignedRational:
    case kDouble:
    case kLong8:
      return 8;
    default:
      return 0;
  }
}

class TiffBlock {
 public:
  // Also takes the two headers with swapped halves that Pillow takes.
  explicit TiffBlock(std::span<const std::uint8_t> bytes) : bytes_(bytes) {
    if (bytes.size() < 8) return;
    const bool little = bytes[0] == 'I' && bytes[1] == 'I';
    big_endian_ = bytes[0] == 'M' && bytes[1] == 'M';
    const bool version = (bytes[2] == 42 && bytes[3] == 0) || (bytes[2] == 0 && bytes[3] == 42);
    valid_ = (little || big_endian_) && version;
  }

  [[nodiscard]] bool valid() const { return valid_; }
  [[nodiscard]] bool holds(std::uint64_t offset, std::uint64_t count) const {
    return offset <= bytes_.size() && count <= bytes_.size() - offset;
  }
  // The number in `count` bytes at `offset`, which the block holds.
  [[nodiscard]] std::uint64_t number(std::uint64_t offset, unsigned count) const {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < count; ++i) {
      value = (value << 8U) | bytes_[static_cast<std::size_t>(offset) + (big_endian_ ? i : count - 1 - i)];
    }
    return value;
  }

 private:
  std::span<const std::uint8_t> bytes_;
  bool big_endian_ = false;
  bool valid_ = false;
};

int orientation_from_number(double value) {
  return value >= 1 && value <= 8 && value == std::floor(value) ? static_cast<int>(value) : 1;
}

// The first value of an entry whose data lie at `at`.
int orientation_value(const TiffBlock& block, std::uint16_t type, std::uint64_t at) {
  switch (type) {
    case kShort:
    case kSignedShort:
      return orientation_from_number(static_cast<double>(block.number(at, 2)));
    case kLong:
    case kDirectory:
    case kSignedLong:
      return orientation_from_number(static_cast<double>(block.number(at, 4)));
    case kLong8:
      return orientation_from_number(static_cast<double>(block.number(at, 8)));
    case kSignedByte:
      return orientation_from_number(static_cast<double>(block.number(at, 1)));
    case kFloat: {
      const auto bits = static_cast<std::uint32_t>(block.number(at, 4));
      float value = 0;
      std::memcpy(&value, &bits, sizeof(value));
      return orientation_from_number(static_cast<double>(value));
    }
    case kDouble: {
      const std::uint64_t bits = block.number(at, 8);
      double value = 0;
      std::memcpy(&value, &bits, sizeof(value));
      return orientation_from_number(value);
    }
    case kRational:
    case kSignedRational: {
      const auto denominator = static_cast<double>(block.number(at + 4, 4));
      return denominator == 0
                 ? 1
                 : orientation_from_number(static_cast<double>(block.number(at, 4)) / denominator);
    }
    default:
      return 1;
  }
}

// Where output pixel (y, x) comes from: pixel start + y * down + x * right of the source.
struct Walk {
  std::int64_t start;
  std::int64_t down;
  std::int64_t right;
};

void copy_along(const RgbImage& from, const Walk& walk, RgbImage& to) {
  constexpr std::int64_t kTile = 32;  // both pictures' parts stay in the first cache when rows become columns
  const std::uint8_t* source = from.pixels().data();
  for (std::int64_t y0 = 0; y0 < to.height(); y0 += kTile) {
    const std::int64_t y1 = std::min(y0 + kTile, to.height());
    for (std::int64_t x0 = 0; x0 < to.width(); x0 += kTile) {
      const std::int64_t x1 = std::min(x0 + kTile, to.width());
      for (std::int64_t y = y0; y < y1; ++y) {
        std::uint8_t* out = to.row(y) + x0 * 3;
        for (std::int64_t x = x0; x < x1; ++x, out += 3) {
          std::memcpy(out, source + (walk.start + y * walk.down + x * walk.right) * 3, 3);
        }
      }
    }
  }
}

}  // namespace

std::optional<int> exif_orientation(std::span<const std::uint8_t> exif) {
  constexpr std::string_view kPrefix("Exif\0\0", 6);
  for (int i = 0; i < 2; ++i) {
    if (exif.size() >= kPrefix.size() && std::memcmp(exif.data(), kPrefix.data(), kPrefix.size()) == 0) {
      exif = exif.subspan(kPrefix.size());
    }
  }
  const TiffBlock block(exif);
  if (!block.valid()) return std::nullopt;
  std::uint64_t entry = block.number(4, 4);
  if (!block.holds(entry, 2)) return std::nullopt;
  const std::uint64_t entries = block.number(entry, 2);
  entry += 2;
  std::uint64_t distant_bytes = 0;  // of values that lie outside their entries
  for (std::uint64_t i = 0; i < entries && block.holds(entry, 12); ++i, entry += 12) {
    const auto type = static_cast<std::uint16_t>(block.number(entry + 2, 2));
    const std::uint64_t bytes = block.number(entry + 4, 4) * size_bytes(type);
    std::uint64_t at = entry + 8;
    if (bytes > 4) {
      // Pillow skips values larger than the block, but reads no further behind one that the block's end cuts
      // off.
      distant_bytes += bytes;
      if (distant_bytes > exif.size()) continue;
      at = block.number(at, 4);
      if (!block.holds(at, bytes)) return std::nullopt;
    }
    if (block.number(entry, 2) == kOrientationTag && bytes > 0) return orientation_value(block, type, at);
  }
  return std::nullopt;
}

std::optional<int> xmp_orientation(std::string_view xmp) {
  constexpr std::string_view kName = "tiff:Orientation";
  for (std::size_t at = xmp.find(kName); at != std::string_view::npos; at = xmp.find(kName, at + 1)) {
    std::string_view rest = xmp.substr(at + kName.size());
    if (rest.starts_with("=\"")) {
      rest.remove_prefix(2);
    } else if (rest.starts_with(">")) {
      rest.remove_prefix(1);
    } else {
      continue;
    }
    if (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') return rest[0] - '0';
  }
  return std::nullopt;
}

int orientation_of(std::span<const std::uint8_t> exif, std::string_view xmp) {
  if (const auto value = exif_orientation(exif)) return *value;
  return xmp_orientation(xmp).value_or(1);
}

RgbImage upright(RgbImage image, int orientation) {
  if (orientation < 2 || orientation > 8) return image;
  const std::int64_t w = image.width();
  const std::int64_t last_x = w - 1;
  const std::int64_t last_row = (image.height() - 1) * w;
  Walk walk{};
  switch (orientation) {
    case 2:  // mirrored left to right
      walk = {last_x, w, -1};
      break;
    case 3:  // half a turn
      walk = {last_row + last_x, -w, -1};
      break;
    case 4:  // mirrored top to bottom
      walk = {last_row, -w, 1};
      break;
    case 5:  // transposed
      walk = {0, 1, w};
      break;
    case 6:  // a quarter clockwise
      walk = {last_row, 1, -w};
      break;
    case 7:  // transposed about the other diagonal
      walk = {last_row + last_x, -1, -w};
      break;
    default:  // 8: a quarter anticlockwise
      walk = {last_x, -1, w};
      break;
  }
  const bool sides_swap = orientation >= 5;
  RgbImage turned(sides_swap ? PixelSize{w, image.height()} : image.size());
  copy_along(image, walk, turned);
  return turned;
}

}  // namespace qvl
