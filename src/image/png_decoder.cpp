// PNG by libpng. Of its transformations only those are used that Pillow's unpackers do as well: sub-byte
// samples to bytes, the high byte of 16 bits. Palette and grey become RGB here, and tRNS becomes alpha.
#include <png.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <optional>
#include <string_view>
#include <vector>

#include "image/decoder.h"
#include "image/png_metadata.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::string_view kFormat = "PNG";

// libpng leaves its functions by longjmp. Every function here that calls setjmp therefore has no local with a
// destructor and no local that changes after setjmp: the state lies in members, which the owner destroys.
class PngReader {
 public:
  explicit PngReader(const PictureSource& source) : source_(source) {}
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  // Each returns false when libpng gave up; error() then says why.
  bool read_header();
  bool prepare_rows();
  bool read_rows(std::uint8_t* rows, std::size_t stride);

  [[nodiscard]] const char* error() const { return message_.data(); }
  [[nodiscard]] std::uint32_t width() const { return png_get_image_width(png_, info_); }
  [[nodiscard]] std::uint32_t height() const { return png_get_image_height(png_, info_); }
  [[nodiscard]] int color_type() const { return png_get_color_type(png_, info_); }
  // Of a sample in the file.
  [[nodiscard]] int bit_depth() const { return bit_depth_; }
  // Bytes of a pixel as the rows give it, after prepare_rows.
  [[nodiscard]] std::size_t pixel_bytes() const { return pixel_bytes_; }
  [[nodiscard]] std::span<const png_color> palette() const;
  // The rows have an alpha sample behind each pixel's others.
  [[nodiscard]] bool has_alpha() const { return (color_type() & PNG_COLOR_MASK_ALPHA) != 0; }
  // tRNS: alpha by index of the palette, or the one colour that is transparent.
  [[nodiscard]] std::span<const png_byte> palette_alpha() const;
  [[nodiscard]] const png_color_16* transparent_color() const;

 private:
  static void on_error(png_structp png, png_const_charp message);
  static void on_warning(png_structp /*png*/, png_const_charp /*message*/) {}
  static void on_read(png_structp png, png_bytep out, std::size_t count);

  const PictureSource& source_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::size_t offset_ = 0;
  std::array<char, 128> message_{};
  int bit_depth_ = 0;
  int passes_ = 1;
  std::size_t pixel_bytes_ = 0;
};

void PngReader::on_error(png_structp png, png_const_charp message) {
  auto* reader = static_cast<PngReader*>(png_get_error_ptr(png));
  std::size_t length = 0;
  for (; message[length] != '\0' && length + 1 < reader->message_.size(); ++length) {
    reader->message_[length] = message[length];
  }
  reader->message_[length] = '\0';
  png_longjmp(png, 1);
}

void PngReader::on_read(png_structp png, png_bytep out, std::size_t count) {
  auto* reader = static_cast<PngReader*>(png_get_io_ptr(png));
  if (count > reader->source_.size() - reader->offset_) png_error(png, "it is truncated");
  std::copy_n(reader->source_.data() + reader->offset_, count, out);
  reader->offset_ += count;
}

bool PngReader::read_header() {
  png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
  if (png_ != nullptr) info_ = png_create_info_struct(png_);
  if (info_ == nullptr) {
    throw MachineError("libpng cannot be started: no memory, or another version than built for");
  }
  if (setjmp(png_jmpbuf(png_)) != 0) return false;
  png_set_read_fn(png_, this, on_read);
  png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // ours are checked instead
  // Nothing is kept of profiles, texts and the like (png_orientation reads what matters), so they may have
  // any length.
  png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_set_chunk_malloc_max(png_, 0);
  png_read_info(png_, info_);
  bit_depth_ = png_get_bit_depth(png_, info_);
  return true;
}

bool PngReader::prepare_rows() {
  if (setjmp(png_jmpbuf(png_)) != 0) return false;
  const bool grey16 = bit_depth_ == 16 && color_type() == PNG_COLOR_TYPE_GRAY;
  png_set_packing(png_);
  if (!grey16) png_set_strip_16(png_);
  png_set_check_for_invalid_index(png_, 0);
  passes_ = png_set_interlace_handling(png_);
  pixel_bytes_ = grey16 ? 2 : 1;
  if (color_type() == PNG_COLOR_TYPE_RGB || color_type() == PNG_COLOR_TYPE_RGB_ALPHA) pixel_bytes_ = 3;
  if (has_alpha()) ++pixel_bytes_;
  png_read_update_info(png_, info_);
  if (png_get_rowbytes(png_, info_) != pixel_bytes_ * width()) {
    png_error(png_, "its rows have an unexpected length");
  }
  return true;
}

bool PngReader::read_rows(std::uint8_t* rows, std::size_t stride) {
  if (setjmp(png_jmpbuf(png_)) != 0) return false;
  for (int pass = 0; pass < passes_; ++pass) {
    for (std::size_t y = 0; y < height(); ++y) png_read_row(png_, rows + y * stride, nullptr);
  }
  return true;
}

std::span<const png_color> PngReader::palette() const {
  png_colorp colors = nullptr;
  int count = 0;
  if (png_get_PLTE(png_, info_, &colors, &count) == 0 || colors == nullptr) return {};
  return {colors, static_cast<std::size_t>(count)};
}

std::span<const png_byte> PngReader::palette_alpha() const {
  png_bytep alpha = nullptr;
  int count = 0;
  png_color_16p color = nullptr;
  if (color_type() != PNG_COLOR_TYPE_PALETTE || png_get_tRNS(png_, info_, &alpha, &count, &color) == 0 ||
      alpha == nullptr) {
    return {};
  }
  return {alpha, static_cast<std::size_t>(count)};
}

const png_color_16* PngReader::transparent_color() const {
  png_bytep alpha = nullptr;
  int count = 0;
  png_color_16p color = nullptr;
  const bool can_have = color_type() == PNG_COLOR_TYPE_GRAY || color_type() == PNG_COLOR_TYPE_RGB;
  return can_have && png_get_tRNS(png_, info_, &alpha, &count, &color) != 0 ? color : nullptr;
}

// How one row of samples becomes RGB and alpha. Index or grey level to colour by a table of 256; 16-bit grey
// is clamped, because Pillow's conversion of its mode I;16 does so.
class RowConverter {
 public:
  explicit RowConverter(const PngReader& reader)
      : pixel_bytes_(reader.pixel_bytes()),
        has_alpha_(reader.has_alpha()),
        is_rgb_(pixel_bytes_ >= 3),
        palette_alpha_(reader.palette_alpha()) {
    if (reader.color_type() == PNG_COLOR_TYPE_PALETTE) {
      const auto palette = reader.palette();
      for (std::size_t i = 0; i < std::min(palette.size(), table_.size()); ++i) {
        table_[i] = {palette[i].red, palette[i].green, palette[i].blue};
      }
    } else {
      const int levels = reader.bit_depth() >= 8 ? 255 : (1 << reader.bit_depth()) - 1;
      for (int i = 0; i <= levels; ++i) {
        table_[static_cast<std::size_t>(i)].fill(static_cast<std::uint8_t>(i * 255 / levels));
      }
    }
    if (const png_color_16* color = reader.transparent_color()) {
      // Pillow compares pixels of 8 bits with the chunk's numbers, whatever depth these are for, but for the
      // two levels of one bit.
      const bool bilevel = reader.bit_depth() == 1;
      const auto grey = static_cast<unsigned>(bilevel && color->gray != 0 ? 255 : color->gray);
      transparent_ = is_rgb_ ? std::array<unsigned, 3>{color->red, color->green, color->blue}
                             : std::array<unsigned, 3>{grey, grey, grey};
    }
  }

  [[nodiscard]] bool makes_alpha() const {
    return has_alpha_ || !palette_alpha_.empty() || transparent_.has_value();
  }

  // `alpha`: a byte for each pixel, where any are made.
  void convert(const std::uint8_t* samples, std::uint8_t* rgb, std::uint8_t* alpha,
               std::int64_t width) const {
    for (std::int64_t x = 0; x < width; ++x, samples += pixel_bytes_, rgb += 3) {
      std::copy_n(is_rgb_ ? samples : table_[index_of(samples)].data(), 3, rgb);
      if (makes_alpha()) alpha[x] = alpha_of(samples, rgb);
    }
  }

 private:
  [[nodiscard]] std::size_t index_of(const std::uint8_t* samples) const {
    if (pixel_bytes_ == 2 && !has_alpha_) return samples[0] != 0 ? 255 : samples[1];
    return samples[0];
  }
  [[nodiscard]] std::uint8_t alpha_of(const std::uint8_t* samples, const std::uint8_t* rgb) const {
    if (has_alpha_) return samples[pixel_bytes_ - 1];
    if (transparent_) return std::equal(transparent_->begin(), transparent_->end(), rgb) ? 0 : 255;
    return samples[0] < palette_alpha_.size() ? palette_alpha_[samples[0]] : 255;
  }

  std::size_t pixel_bytes_;
  bool has_alpha_;
  bool is_rgb_;
  std::span<const png_byte> palette_alpha_;
  std::optional<std::array<unsigned, 3>> transparent_;
  std::array<std::array<std::uint8_t, 3>, 256> table_{};  // black where the palette has no entry
};

}  // namespace

DecodedPicture decode_png(const PictureSource& source) {
  constexpr std::size_t kHeaderEnd = 8 + 8 + 13;
  if (source.size() < kHeaderEnd) throw_broken(source, kFormat, "it is truncated");
  const PixelSize size =
      checked_size(source, load_u32_be(source.data() + 16), load_u32_be(source.data() + 20));
  const int orientation = png_orientation(source);

  PngReader reader(source);
  if (!reader.read_header() || !reader.prepare_rows()) throw_broken(source, kFormat, reader.error());
  if (reader.width() != size.width || reader.height() != size.height) {
    throw_broken(source, kFormat, "its first chunk is not IHDR");
  }
  DecodedPicture decoded{RgbImage(size), orientation, {}};
  RgbImage& image = decoded.image;
  const RowConverter converter(reader);
  if (reader.pixel_bytes() == 3 && !converter.makes_alpha()) {
    if (!reader.read_rows(image.row(0), static_cast<std::size_t>(image.row_bytes()))) {
      throw_broken(source, kFormat, reader.error());
    }
    return decoded;
  }
  const auto width = static_cast<std::size_t>(size.width);
  const std::size_t stride = reader.pixel_bytes() * width;
  std::vector<std::uint8_t> samples(stride * static_cast<std::size_t>(size.height));
  if (!reader.read_rows(samples.data(), stride)) throw_broken(source, kFormat, reader.error());
  if (converter.makes_alpha()) decoded.alpha.resize(width * static_cast<std::size_t>(size.height));
  for (std::int64_t y = 0; y < size.height; ++y) {
    const auto row = static_cast<std::size_t>(y);
    std::uint8_t* alpha = decoded.alpha.empty() ? nullptr : decoded.alpha.data() + row * width;
    converter.convert(samples.data() + stride * row, image.row(y), alpha, size.width);
  }
  return decoded;
}

}  // namespace qvl
