// GIF by giflib, which gives the colour indices; the screen is composed as Pillow does.
#include <gif_lib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "image/decoder.h"

namespace qvl {
namespace {

constexpr std::string_view kFormat = "GIF";

struct Cursor {
  std::span<const std::byte> rest;
};

int read_bytes(GifFileType* gif, GifByteType* out, int count) {
  auto* cursor = static_cast<Cursor*>(gif->UserData);
  const std::size_t taken = std::min(static_cast<std::size_t>(std::max(count, 0)), cursor->rest.size());
  if (taken > 0) std::memcpy(out, cursor->rest.data(), taken);
  cursor->rest = cursor->rest.subspan(taken);
  return static_cast<int>(taken);
}

struct CloseGif {
  void operator()(GifFileType* gif) const noexcept { DGifCloseFile(gif, nullptr); }
};
using GifFile = std::unique_ptr<GifFileType, CloseGif>;

[[noreturn]] void throw_gif_error(const PictureSource& source, int error) {
  const bool short_of_bytes = error == D_GIF_ERR_READ_FAILED || error == D_GIF_ERR_EOF_TOO_SOON;
  const char* text = GifErrorString(error);
  throw_broken(source, kFormat,
               short_of_bytes    ? "it is truncated"
               : text != nullptr ? text
                                 : "it is damaged");
}

// Reads an extension whole; of a graphic control extension the transparent index, when it names one.
void read_extension(const PictureSource& source, GifFileType* gif, std::optional<std::uint8_t>& transparent) {
  int code = 0;
  GifByteType* block = nullptr;
  if (DGifGetExtension(gif, &code, &block) == GIF_ERROR) throw_gif_error(source, gif->Error);
  // A block is its length and that many bytes.
  if (code == GRAPHICS_EXT_FUNC_CODE && block != nullptr && block[0] >= 4 && (block[1] & 1U) != 0)
    transparent = block[4];
  while (block != nullptr) {
    if (DGifGetExtensionNext(gif, &block) == GIF_ERROR) throw_gif_error(source, gif->Error);
  }
}

// Leaves `gif` before the pixels of the first picture. Returns its transparent index.
std::optional<std::uint8_t> find_first_picture(const PictureSource& source, GifFileType* gif) {
  std::optional<std::uint8_t> transparent;
  while (true) {
    GifRecordType record = UNDEFINED_RECORD_TYPE;
    if (DGifGetRecordType(gif, &record) == GIF_ERROR) throw_gif_error(source, gif->Error);
    if (record == TERMINATE_RECORD_TYPE) throw_broken(source, kFormat, "there is no picture in it");
    if (record == EXTENSION_RECORD_TYPE) read_extension(source, gif, transparent);
    if (record == IMAGE_DESC_RECORD_TYPE) {
      if (DGifGetImageDesc(gif) == GIF_ERROR) throw_gif_error(source, gif->Error);
      return transparent;
    }
  }
}

using Palette = std::array<std::array<std::uint8_t, 3>, 256>;

bool is_grey_ramp(const ColorMapObject& map) {
  for (int i = 0; i < map.ColorCount; ++i) {
    const GifColorType& c = map.Colors[i];
    if (c.Red != i || c.Green != i || c.Blue != i) return false;
  }
  return true;
}

// Pillow drops a colour map that is the ramp of greys: a local one in favour of the global map (and not of
// greys, as would be right), a global one in favour of greys of 8 bits. Indices beyond the map are black.
Palette palette_of(const GifFileType& gif) {
  Palette palette{};
  for (const ColorMapObject* map : {gif.Image.ColorMap, gif.SColorMap}) {
    if (map == nullptr || is_grey_ramp(*map)) continue;
    for (int i = 0; i < std::min(map->ColorCount, 256); ++i) {
      const GifColorType& c = map->Colors[i];
      palette[static_cast<std::size_t>(i)] = {c.Red, c.Green, c.Blue};
    }
    return palette;
  }
  for (std::size_t i = 0; i < palette.size(); ++i) palette[i].fill(static_cast<std::uint8_t>(i));
  return palette;
}

// The rows of an interlaced picture come in four passes.
std::vector<int> row_order(int height, bool interlaced) {
  std::vector<int> rows;
  rows.reserve(static_cast<std::size_t>(height));
  constexpr std::array<std::array<int, 2>, 4> kPasses{{{0, 8}, {4, 8}, {2, 4}, {1, 2}}};  // first row, step
  for (const auto& [first, step] : kPasses) {
    if (!interlaced) break;
    for (int y = first; y < height; y += step) rows.push_back(y);
  }
  for (int y = 0; y < height && !interlaced; ++y) rows.push_back(y);
  return rows;
}

}  // namespace

DecodedPicture decode_gif(const PictureSource& source) {
  Cursor cursor{source.bytes};
  int error = D_GIF_SUCCEEDED;
  const GifFile gif(DGifOpen(&cursor, read_bytes, &error));
  if (gif == nullptr) throw_gif_error(source, error);
  const std::optional<std::uint8_t> transparent = find_first_picture(source, gif.get());

  const GifImageDesc& frame = gif->Image;
  if (frame.Width <= 0 || frame.Height <= 0) throw_broken(source, kFormat, "its first picture has no pixels");
  // Pillow enlarges the screen where the first picture reaches over it.
  const PixelSize size =
      checked_size(source, static_cast<std::uint64_t>(std::max(gif->SWidth, frame.Left + frame.Width)),
                   static_cast<std::uint64_t>(std::max(gif->SHeight, frame.Top + frame.Height)));
  const Palette palette = palette_of(*gif);
  DecodedPicture decoded{RgbImage(size)};
  RgbImage& image = decoded.image;
  const bool covered = frame.Width == size.width && frame.Height == size.height;
  if (!covered) {
    const auto& background = palette[transparent.value_or(0)];
    for (std::size_t i = 0; i < image.pixels().size(); ++i) image.pixels()[i] = background[i % 3];
  }
  const auto width = static_cast<std::size_t>(size.width);
  if (transparent) decoded.alpha.assign(width * static_cast<std::size_t>(size.height), covered ? 255 : 0);
  std::vector<GifPixelType> line(static_cast<std::size_t>(frame.Width));
  for (const int y : row_order(frame.Height, frame.Interlace)) {
    if (DGifGetLine(gif.get(), line.data(), frame.Width) == GIF_ERROR) throw_gif_error(source, gif->Error);
    std::uint8_t* out = image.row(frame.Top + y) + std::int64_t{frame.Left} * RgbImage::kChannels;
    for (const GifPixelType index : line) {
      std::copy_n(palette[index].data(), 3, out);
      out += 3;
    }
    if (!transparent) continue;
    std::uint8_t* alpha = decoded.alpha.data() + static_cast<std::size_t>(frame.Top + y) * width +
                          static_cast<std::size_t>(frame.Left);
    for (const GifPixelType index : line) *alpha++ = index == *transparent ? 0 : 255;
  }
  return decoded;
}

}  // namespace qvl
