// WebP by libwebp. The container (RIFF, see the WebP Container Specification) is walked here for the first
// frame of an animation and for EXIF and XMP.
#include <webp/decode.h>

#include <algorithm>
#include <string_view>

#include "image/decoder.h"
#include "image/orientation.h"

namespace qvl {
namespace {

constexpr std::string_view kFormat = "WebP";
using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t kRiffHeader = 12;  // "RIFF", size, "WEBP"
constexpr std::size_t kChunkHeader = 8;

std::uint32_t load_u24_le(const std::uint8_t* p) {
  return load_u16_le(p) | (static_cast<std::uint32_t>(p[2]) << 16U);
}

// The chunks between the RIFF header and the end that it states. Throws InputError where one does not fit.
class Chunks {
 public:
  explicit Chunks(const PictureSource& source) : source_(source) {
    if (source.size() < kRiffHeader + kChunkHeader) throw_broken(source, kFormat, "it is truncated");
    const std::size_t end = std::size_t{load_u32_le(source.data() + 4)} + kChunkHeader;
    if (end > source.size()) throw_broken(source, kFormat, "it is truncated");
    bytes_ = {source.data(), end};
  }

  // All of the file that counts.
  [[nodiscard]] Bytes bytes() const { return bytes_; }

  // The content of the first chunk with this name; empty when there is none.
  [[nodiscard]] Bytes find(std::string_view name) const {
    std::size_t at = kRiffHeader;
    while (at + kChunkHeader <= bytes_.size()) {
      const std::size_t size = load_u32_le(bytes_.data() + at + 4);
      const bool found =
          std::equal(name.begin(), name.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(at),
                     [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; });
      at += kChunkHeader;
      if (size > bytes_.size() - at) throw_broken(source_, kFormat, "a chunk does not fit into the file");
      if (found) return bytes_.subspan(at, size);
      at += size + size % 2;
    }
    return {};
  }

 private:
  const PictureSource& source_;
  Bytes bytes_;
};

std::string_view reason(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY:
      return "there is no memory to decode it";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "it uses an unknown feature";
    case VP8_STATUS_NOT_ENOUGH_DATA:
      return "it is truncated";
    default:
      return "its bitstream is damaged";
  }
}

// One frame's chunks, its alpha with it, at a place in the picture.
void decode_with_alpha(const PictureSource& source, Bytes data, PixelSize frame, DecodedPicture& picture,
                       std::int64_t x, std::int64_t y) {
  const auto width = static_cast<std::size_t>(frame.width);
  std::vector<std::uint8_t> rgba(width * static_cast<std::size_t>(frame.height) * 4);
  if (WebPDecodeRGBAInto(data.data(), data.size(), rgba.data(), rgba.size(), static_cast<int>(width * 4)) ==
      nullptr) {
    throw_broken(source, kFormat, "its bitstream is damaged or truncated");
  }
  const std::uint8_t* from = rgba.data();
  for (std::int64_t row = y; row < y + frame.height; ++row) {
    std::uint8_t* rgb = picture.image.row(row) + x * RgbImage::kChannels;
    std::uint8_t* alpha = picture.alpha.data() + row * picture.image.width() + x;
    for (std::size_t i = 0; i < width; ++i, from += 4, rgb += 3) {
      std::copy_n(from, 3, rgb);
      alpha[i] = from[3];
    }
  }
}

// Decodes a still picture or one frame's chunks at a place in the picture.
void decode_into(const PictureSource& source, Bytes data, PixelSize frame, DecodedPicture& picture,
                 std::int64_t x, std::int64_t y) {
  if (!picture.alpha.empty()) {
    decode_with_alpha(source, data, frame, picture, x, y);
    return;
  }
  RgbImage& image = picture.image;
  std::uint8_t* out = image.row(y) + x * RgbImage::kChannels;
  const auto space = static_cast<std::size_t>(image.pixels().data() + image.pixels().size() - out);
  if (WebPDecodeRGBInto(data.data(), data.size(), out, space, static_cast<int>(image.row_bytes())) ==
      nullptr) {
    throw_broken(source, kFormat, "its bitstream is damaged or truncated");
  }
}

// What Pillow's decoder shows first: the first frame at its place on a canvas that is otherwise (0, 0, 0, 0).
void decode_first_frame(const PictureSource& source, const Chunks& chunks, DecodedPicture& picture) {
  const RgbImage& canvas = picture.image;
  constexpr std::size_t kFrameHeader = 16;
  const Bytes frame = chunks.find("ANMF");
  if (frame.size() < kFrameHeader) throw_broken(source, kFormat, "the animation has no frame");
  const std::int64_t x = 2 * std::int64_t{load_u24_le(frame.data())};
  const std::int64_t y = 2 * std::int64_t{load_u24_le(frame.data() + 3)};
  const std::int64_t width = std::int64_t{load_u24_le(frame.data() + 6)} + 1;
  const std::int64_t height = std::int64_t{load_u24_le(frame.data() + 9)} + 1;
  const Bytes data = frame.subspan(kFrameHeader);
  WebPBitstreamFeatures features{};
  const VP8StatusCode status = WebPGetFeatures(data.data(), data.size(), &features);
  if (status != VP8_STATUS_OK) throw_broken(source, kFormat, reason(status));
  if (features.width != width || features.height != height || x + width > canvas.width() ||
      y + height > canvas.height()) {
    throw_broken(source, kFormat, "its first frame does not fit the canvas");
  }
  decode_into(source, data, {height, width}, picture, x, y);
}

int orientation(const Chunks& chunks) {
  constexpr std::uint8_t kExifFlag = 0x08;
  constexpr std::uint8_t kXmpFlag = 0x04;
  const Bytes extended = chunks.find("VP8X");
  if (extended.empty()) return 1;
  const Bytes exif = (extended[0] & kExifFlag) != 0 ? chunks.find("EXIF") : Bytes{};
  const Bytes xmp = (extended[0] & kXmpFlag) != 0 ? chunks.find("XMP ") : Bytes{};
  return orientation_of(exif, {reinterpret_cast<const char*>(xmp.data()), xmp.size()});
}

}  // namespace

DecodedPicture decode_webp(const PictureSource& source) {
  const Chunks chunks(source);
  const Bytes data = chunks.bytes();
  WebPBitstreamFeatures features{};
  const VP8StatusCode status = WebPGetFeatures(data.data(), data.size(), &features);
  if (status != VP8_STATUS_OK) throw_broken(source, kFormat, reason(status));
  DecodedPicture decoded{RgbImage(checked_size(source, static_cast<std::uint64_t>(features.width),
                                               static_cast<std::uint64_t>(features.height)))};
  const PixelSize size = decoded.image.size();
  if (features.has_alpha != 0) decoded.alpha.resize(static_cast<std::size_t>(size.height * size.width));
  if (features.has_animation != 0) {
    decode_first_frame(source, chunks, decoded);
  } else {
    decode_into(source, data, size, decoded, 0, 0);
  }
  decoded.orientation = orientation(chunks);
  return decoded;
}

}  // namespace qvl
