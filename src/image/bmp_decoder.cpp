// Windows and OS/2 bitmaps (BITMAPCOREHEADER to BITMAPV5HEADER), with the details that the format leaves open
// decided as Pillow does.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <string_view>
#include <vector>

#include "image/bmp_rle.h"
#include "image/decoder.h"

namespace qvl {
namespace {

constexpr std::string_view kFormat = "BMP";
constexpr std::size_t kFileHeader = 14;
constexpr std::uint32_t kCoreHeader = 12;

enum Compression : std::uint32_t { kRaw = 0, kRle8 = 1, kRle4 = 2, kBitfields = 3 };

struct Masks {
  std::uint32_t red;
  std::uint32_t green;
  std::uint32_t blue;
  std::uint32_t alpha = 0;  // 0: opaque
};
constexpr Masks kFiveBits{0x7c00, 0x03e0, 0x001f};
constexpr Masks kEightBits{0xff0000, 0x00ff00, 0x0000ff};
constexpr std::uint32_t kLastByte = 0xff000000;

using Palette = std::array<std::array<std::uint8_t, 3>, 256>;

struct Header {
  PixelSize size;
  bool top_down = false;
  unsigned bits = 0;  // per pixel
  std::uint32_t compression = kRaw;
  Masks masks{};           // for 16 bits and more
  std::size_t pixels = 0;  // offset in the file
  Palette palette{};       // for up to 8 bits; black where the file has no entry
};

// A position in the file that moves on with what is read. Throws InputError at the end.
class Reader {
 public:
  Reader(const PictureSource& source, std::size_t at) : source_(source), at_(at) {}

  [[nodiscard]] std::size_t position() const { return at_; }
  const std::uint8_t* take(std::size_t count) {
    if (at_ > source_.size() || count > source_.size() - at_)
      throw_broken(source_, kFormat, "it is truncated");
    at_ += count;
    return source_.data() + at_ - count;
  }

 private:
  const PictureSource& source_;
  std::size_t at_;
};

void check_kind(const PictureSource& source, const Header& header) {
  constexpr std::array<unsigned, 6> kDepths{1, 4, 8, 16, 24, 32};
  if (std::find(kDepths.begin(), kDepths.end(), header.bits) == kDepths.end()) {
    throw_broken(source, kFormat,
                 fmt::format("it has {} bits per pixel; 1, 4, 8, 16, 24 and 32 are known", header.bits));
  }
  const bool run_length = header.compression == kRle8 || header.compression == kRle4;
  if (header.compression > kBitfields || (run_length && header.bits > 8) ||
      (header.compression == kBitfields && header.bits < 16)) {
    throw_broken(
        source, kFormat,
        fmt::format("compression {} of {} bits per pixel is not taken", header.compression, header.bits));
  }
}

void read_masks(const PictureSource& source, std::uint32_t header_bytes, const std::uint8_t* fields,
                Reader& reader, Header& header) {
  header.masks = header.bits == 16 ? kFiveBits : kEightBits;
  if (header.compression != kBitfields) return;
  // In the later headers the masks are fields; behind the 40 bytes of BITMAPINFOHEADER they follow.
  const std::uint8_t* p = header_bytes >= 52 ? fields + 36 : reader.take(12);
  Masks masks{load_u32_le(p), load_u32_le(p + 4), load_u32_le(p + 8)};
  if (header_bytes >= 56 && header.bits == 32) masks.alpha = load_u32_le(p + 12);
  if (masks.red == 0 && masks.green == 0 && masks.blue == 0 && header.bits == 32) {
    if (masks.alpha == 0) header.masks.alpha = kLastByte;  // so Pillow
    return;
  }
  if (masks.alpha != 0 &&
      !std::has_single_bit(std::uint64_t{masks.alpha >> std::countr_zero(masks.alpha)} + 1))
    masks.alpha = 0;
  for (const std::uint32_t mask : {masks.red, masks.green, masks.blue}) {
    // A run of ones: shifted to the right end, it is one less than a power of two.
    if (mask == 0 || !std::has_single_bit(std::uint64_t{mask >> std::countr_zero(mask)} + 1)) {
      throw_broken(source, kFormat,
                   fmt::format("the bit mask {:#x} of a colour is not one run of bits", mask));
    }
  }
  header.masks = masks;
}

void read_palette(const PictureSource& source, std::uint64_t colors, std::size_t entry_bytes, Reader& reader,
                  Header& header) {
  if (colors > 65536) throw_broken(source, kFormat, fmt::format("it has {} colours in its palette", colors));
  const std::size_t count = static_cast<std::size_t>(colors);
  const std::uint8_t* entries = reader.take(count * entry_bytes);
  for (std::size_t i = 0; i < std::min(count, header.palette.size()); ++i, entries += entry_bytes) {
    header.palette[i] = {entries[2], entries[1], entries[0]};
  }
}

Header read_header(const PictureSource& source) {
  Reader reader(source, 0);
  std::size_t pixels = load_u32_le(reader.take(kFileHeader) + 10);
  const std::uint32_t header_bytes = load_u32_le(reader.take(4));
  const std::uint8_t* fields =
      reader.take(header_bytes - 4);  // the size is one of those that decode_image knows
  Header header;
  std::uint64_t width = 0;
  std::uint64_t height = 0;
  std::uint64_t colors = 0;
  if (header_bytes == kCoreHeader) {
    width = load_u16_le(fields);
    height = load_u16_le(fields + 2);
    header.bits = load_u16_le(fields + 6);
  } else {
    width = load_u32_le(fields);
    height = load_u32_le(fields + 4);
    header.top_down = fields[7] == 0xff;  // a negative height
    if (header.top_down) height = (std::uint64_t{1} << 32U) - height;
    header.bits = load_u16_le(fields + 10);
    header.compression = load_u32_le(fields + 12);
    colors = load_u32_le(fields + 28);
  }
  header.size = checked_size(source, width, height);
  check_kind(source, header);
  const std::size_t entry_bytes = header_bytes == kCoreHeader ? 3 : 4;
  if (header.bits <= 8) {
    if (colors == 0) colors = std::uint64_t{1} << header.bits;
    // Some writers forget the palette in the offset of the pixels.
    if (pixels == kFileHeader + header_bytes) pixels += entry_bytes * static_cast<std::size_t>(colors);
    read_palette(source, colors, entry_bytes, reader, header);
  } else {
    read_masks(source, header_bytes, fields, reader, header);
  }
  header.pixels = pixels != 0 ? pixels : reader.position();
  return header;
}

// One channel of a 16-bit or 32-bit pixel, widened to 8 bits (rounding down).
class Channel {
 public:
  explicit Channel(std::uint32_t mask)
      : mask_(mask), shift_(static_cast<unsigned>(std::countr_zero(mask))), largest_(mask >> shift_) {}
  [[nodiscard]] std::uint8_t of(std::uint32_t pixel) const {
    const std::uint64_t value = (pixel & mask_) >> shift_;
    return static_cast<std::uint8_t>(largest_ == 255 ? value : value * 255 / largest_);
  }

 private:
  std::uint32_t mask_;
  unsigned shift_;
  std::uint64_t largest_;
};

class RowConverter {
 public:
  explicit RowConverter(const Header& header)
      : header_(header),
        red_(header.bits > 8 ? header.masks.red : 1),
        green_(header.bits > 8 ? header.masks.green : 1),
        blue_(header.bits > 8 ? header.masks.blue : 1),
        alpha_(makes_alpha() ? header.masks.alpha : 1) {}

  [[nodiscard]] bool makes_alpha() const { return header_.bits > 8 && header_.masks.alpha != 0; }

  // One row of the file. `alpha`: a byte for each pixel, where any are made.
  void convert(const std::uint8_t* row, std::uint8_t* rgb, std::uint8_t* alpha) const {
    const auto width = static_cast<std::size_t>(header_.size.width);
    if (header_.bits > 8) {
      convert_masked(row, rgb, alpha, width);
      return;
    }
    const unsigned bits = header_.bits;
    for (std::size_t x = 0; x < width; ++x) {
      const std::size_t bit = x * bits;
      const unsigned index = (row[bit / 8] >> (8 - bits - bit % 8)) & ((1U << bits) - 1);
      put_color(index, rgb + x * 3);
    }
  }

  void convert_indices(const std::uint8_t* indices, std::uint8_t* rgb) const {
    for (std::int64_t x = 0; x < header_.size.width; ++x) put_color(indices[x], rgb + x * 3);
  }

 private:
  void put_color(unsigned index, std::uint8_t* rgb) const {
    std::copy_n(header_.palette[index].data(), 3, rgb);
  }

  void convert_masked(const std::uint8_t* row, std::uint8_t* rgb, std::uint8_t* alpha,
                      std::size_t width) const {
    const std::size_t bytes = header_.bits / 8;
    for (std::size_t x = 0; x < width; ++x, row += bytes, rgb += 3) {
      std::uint32_t pixel = load_u16_le(row);
      if (bytes > 2) pixel |= static_cast<std::uint32_t>(row[2]) << 16U;
      if (bytes > 3) pixel |= static_cast<std::uint32_t>(row[3]) << 24U;
      rgb[0] = red_.of(pixel);
      rgb[1] = green_.of(pixel);
      rgb[2] = blue_.of(pixel);
      if (makes_alpha()) alpha[x] = alpha_.of(pixel);
    }
  }

  const Header& header_;
  Channel red_;
  Channel green_;
  Channel blue_;
  Channel alpha_;
};

}  // namespace

DecodedPicture decode_bmp(const PictureSource& source) {
  const Header header = read_header(source);
  const RowConverter converter(header);
  const auto row_of = [&header](std::int64_t stored) {
    return header.top_down ? stored : header.size.height - 1 - stored;
  };
  if (header.compression == kRle8 || header.compression == kRle4) {
    const auto indices = expand_bmp_rle(header.compression == kRle8 ? BmpRle::rle8 : BmpRle::rle4,
                                        {source.data(), source.size()}, header.pixels, header.size);
    if (!indices) throw_broken(source, kFormat, "its pixels end too early");
    RgbImage image(header.size);
    for (std::int64_t y = 0; y < header.size.height; ++y) {
      converter.convert_indices(indices->data() + y * header.size.width, image.row(row_of(y)));
    }
    return {std::move(image)};
  }
  const std::size_t used = (static_cast<std::size_t>(header.size.width) * header.bits + 7) / 8;
  const std::size_t stride = (used + 3) / 4 * 4;
  // The padding of the last row may be missing. Checked before the picture is allocated.
  Reader reader(source, header.pixels);
  const std::uint8_t* rows = reader.take(stride * static_cast<std::size_t>(header.size.height - 1) + used);
  DecodedPicture decoded{RgbImage(header.size)};
  const auto width = static_cast<std::size_t>(header.size.width);
  if (converter.makes_alpha()) decoded.alpha.resize(width * static_cast<std::size_t>(header.size.height));
  for (std::int64_t y = 0; y < header.size.height; ++y) {
    const std::int64_t row = row_of(y);
    std::uint8_t* alpha =
        decoded.alpha.empty() ? nullptr : decoded.alpha.data() + static_cast<std::size_t>(row) * width;
    converter.convert(rows + stride * static_cast<std::size_t>(y), decoded.image.row(row), alpha);
  }
  return decoded;
}

}  // namespace qvl
