// JPEG by libjpeg-turbo with its defaults (the accurate integer DCT, smooth chroma upsampling), as Pillow
// uses it.
#include <cstddef>
#include <cstdio>
// jpeglib.h needs the two above.
#include <jerror.h>
#include <jpeglib.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <string_view>
#include <vector>

#include "image/decoder.h"
#include "image/orientation.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::string_view kFormat = "JPEG";

// libjpeg's error handler must not return, so it leaves by longjmp. Every function here that calls setjmp
// therefore has no local with a destructor and no local that changes after setjmp: the state lies in members.
class JpegReader {
 public:
  explicit JpegReader(const PictureSource& source) : source_(source) {}
  ~JpegReader() { jpeg_destroy_decompress(&info_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  // Each returns false when libjpeg gave up; error() then says why.
  bool read_header();
  bool start();
  bool read_row(std::uint8_t* row);

  [[nodiscard]] const char* error() const { return message_.data(); }
  [[nodiscard]] std::uint32_t width() const { return info_.image_width; }
  [[nodiscard]] std::uint32_t height() const { return info_.image_height; }
  [[nodiscard]] int components() const { return info_.num_components; }
  [[nodiscard]] int orientation() const;

 private:
  static JpegReader& of(j_common_ptr info) { return *static_cast<JpegReader*>(info->client_data); }
  static void on_error(j_common_ptr info);
  static void on_message(j_common_ptr /*info*/) {}
  static void on_progress(j_common_ptr info);
  static void on_source_step(j_decompress_ptr /*info*/) {}
  static boolean on_source_end(j_decompress_ptr info);
  static void on_skip(j_decompress_ptr info, long count);

  const PictureSource& source_;
  jpeg_decompress_struct info_{};
  jpeg_error_mgr errors_{};
  jpeg_source_mgr input_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf jump_{};
  std::array<char, JMSG_LENGTH_MAX> message_{};
  int max_scans_ = 0;
};

void JpegReader::on_error(j_common_ptr info) {
  JpegReader& reader = of(info);
  (*info->err->format_message)(info, reader.message_.data());
  std::longjmp(reader.jump_, 1);
}

// A few bytes can describe a scan over all the picture; without a bound on their number a small file takes
// hours.
void JpegReader::on_progress(j_common_ptr info) {
  JpegReader& reader = of(info);
  if (reader.info_.input_scan_number > reader.max_scans_) {
    constexpr std::string_view kWhy = "it has too many scans for its size";
    std::copy(kWhy.begin(), kWhy.end(), reader.message_.begin());
    std::longjmp(reader.jump_, 1);
  }
}

boolean JpegReader::on_source_end(j_decompress_ptr info) {
  JpegReader& reader = of(reinterpret_cast<j_common_ptr>(info));
  constexpr std::string_view kWhy = "it is truncated";
  std::copy(kWhy.begin(), kWhy.end(), reader.message_.begin());
  std::longjmp(reader.jump_, 1);
}

void JpegReader::on_skip(j_decompress_ptr info, long count) {
  if (count <= 0) return;
  jpeg_source_mgr& input = *info->src;
  if (static_cast<std::size_t>(count) > input.bytes_in_buffer) on_source_end(info);
  input.next_input_byte += count;
  input.bytes_in_buffer -= static_cast<std::size_t>(count);
}

bool JpegReader::read_header() {
  info_.err = jpeg_std_error(&errors_);
  info_.client_data = this;
  errors_.error_exit = on_error;
  errors_.output_message = on_message;
  if (setjmp(jump_) != 0) return false;
  jpeg_create_decompress(&info_);
  input_.init_source = on_source_step;
  input_.fill_input_buffer = on_source_end;
  input_.skip_input_data = on_skip;
  input_.resync_to_restart = jpeg_resync_to_restart;
  input_.term_source = on_source_step;
  input_.next_input_byte = source_.data();
  input_.bytes_in_buffer = source_.size();
  info_.src = &input_;
  jpeg_save_markers(&info_, JPEG_APP0 + 1, 0xffff);
  jpeg_read_header(&info_, TRUE);
  return true;
}

bool JpegReader::start() {
  // 20 full scans of the largest picture take seconds; encoders make about ten.
  constexpr std::uint64_t kMaxScannedPixels = 20 * DecodeOptions{}.max_pixels;
  const std::uint64_t pixels = std::uint64_t{width()} * height();
  max_scans_ = static_cast<int>(std::clamp<std::uint64_t>(kMaxScannedPixels / pixels, 20, 500));
  progress_.progress_monitor = on_progress;
  if (setjmp(jump_) != 0) return false;
  info_.progress = &progress_;
  info_.out_color_space = components() == 4 ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&info_);
  return true;
}

bool JpegReader::read_row(std::uint8_t* row) {
  if (setjmp(jump_) != 0) return false;
  JSAMPROW rows[1] = {row};
  jpeg_read_scanlines(&info_, rows, 1);
  return true;
}

int JpegReader::orientation() const {
  constexpr std::string_view kExif("Exif\0\0", 6);
  constexpr std::string_view kXmp("http://ns.adobe.com/xap/1.0/\0", 29);
  std::vector<std::uint8_t> exif;  // may be continued in further markers
  std::string_view xmp;
  for (jpeg_saved_marker_ptr marker = info_.marker_list; marker != nullptr; marker = marker->next) {
    const std::string_view data(reinterpret_cast<const char*>(marker->data), marker->data_length);
    if (data.starts_with(kExif)) {
      exif.insert(exif.end(), marker->data + (exif.empty() ? 0 : kExif.size()),
                  marker->data + marker->data_length);
    } else if (data.starts_with(kXmp)) {
      xmp = data.substr(kXmp.size());
    }
  }
  return orientation_of(exif, xmp);
}

// Four components are taken to be inverted, as Adobe writes them, whatever the file says (Pillow's raw mode
// CMYK;I); then Pillow's conversion: white minus black, less its share of each ink, the product divided by
// 255 with rounding.
void convert_inverted_cmyk(const std::uint8_t* cmyk, std::uint8_t* rgb, std::int64_t width) {
  for (std::int64_t x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    const int white = cmyk[3];
    for (int c = 0; c < 3; ++c) {
      const int product = (255 - cmyk[c]) * white + 128;
      rgb[c] = static_cast<std::uint8_t>(white - (((product >> 8) + product) >> 8));
    }
  }
}

}  // namespace

DecodedPicture decode_jpeg(const PictureSource& source) {
  JpegReader reader(source);
  if (!reader.read_header()) throw_broken(source, kFormat, reader.error());
  const PixelSize size = checked_size(source, reader.width(), reader.height());
  if (reader.components() != 1 && reader.components() != 3 && reader.components() != 4) {
    throw_broken(source, kFormat, "only pictures of 1, 3 or 4 components are taken");
  }
  if (!reader.start()) throw_broken(source, kFormat, reader.error());
  DecodedPicture decoded{RgbImage(size), reader.orientation()};
  const bool inks = reader.components() == 4;
  std::vector<std::uint8_t> cmyk(inks ? static_cast<std::size_t>(size.width) * 4 : 0);
  for (std::int64_t y = 0; y < size.height; ++y) {
    std::uint8_t* row = decoded.image.row(y);
    if (!reader.read_row(inks ? cmyk.data() : row)) throw_broken(source, kFormat, reader.error());
    if (inks) convert_inverted_cmyk(cmyk.data(), row, size.width);
  }
  return decoded;
}

}  // namespace qvl
