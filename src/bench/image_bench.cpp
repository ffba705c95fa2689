#include "bench/image_bench.h"

#include <fmt/format.h>

#include <functional>
#include <span>

#include "checkpoint/preprocessor_config.h"
#include "core/mapped_file.h"
#include "image/decode.h"
#include "image/resize.h"
#include "models/family.h"
#include "models/picture_pixels.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr PixelSize kMadeSize{1200, 1600};
constexpr std::int64_t kMostSidePixels = 100'000;
constexpr std::int64_t kMostPixels = 100'000'000;

void append_le(std::vector<std::byte>& bytes, std::uint64_t value, int count) {
  for (int i = 0; i < count; ++i) bytes.push_back(static_cast<std::byte>(value >> (8 * i) & 0xffU));
}

// A BMP of 24 bits per pixel, which is mostly copying to decode; colours run along both sides.
std::vector<std::byte> made_bmp() {
  constexpr std::uint64_t kHeaderBytes = 14 + 40;
  const auto width = static_cast<std::uint64_t>(kMadeSize.width);
  const auto height = static_cast<std::uint64_t>(kMadeSize.height);
  const std::uint64_t pixel_bytes = width * height * 3;  // the width is a multiple of 4: rows need no padding
  std::vector<std::byte> bytes;
  bytes.reserve(kHeaderBytes + pixel_bytes);
  append_le(bytes, 0x4d42, 2);  // "BM"
  append_le(bytes, kHeaderBytes + pixel_bytes, 4);
  append_le(bytes, 0, 4);
  append_le(bytes, kHeaderBytes, 4);
  append_le(bytes, 40, 4);  // BITMAPINFOHEADER
  append_le(bytes, width, 4);
  append_le(bytes, height, 4);
  append_le(bytes, 1, 2);   // planes
  append_le(bytes, 24, 2);  // bits per pixel
  append_le(bytes, 0, 4);   // not compressed
  append_le(bytes, pixel_bytes, 4);
  for (int i = 0; i < 4; ++i) append_le(bytes, 0, 4);
  for (std::uint64_t y = 0; y < height; ++y) {
    for (std::uint64_t x = 0; x < width; ++x) append_le(bytes, (x ^ y) | x << 8U | y << 15U, 3);
  }
  return bytes;
}

void check_size(const PixelSize& size, std::int64_t factor) {
  for (const std::int64_t side : {size.height, size.width}) {
    if (side > 0 && side <= kMostSidePixels && side % factor == 0 && size.height * size.width <= kMostPixels)
      continue;
    throw UsageError(
        fmt::format("a picture of {} x {} pixels; multiples of {} are expected, {} pixels at most",
                    size.width, size.height, factor, kMostPixels));
  }
}

// The way of a picture, step by step; each keeps what the next one needs.
class ImageBench {
 public:
  explicit ImageBench(const ImageBenchOptions& options) : options_(options) {
    check_runs(options.runs);
    check_size(options.size, config_.patch_size * config_.merge_size);
    if (options.picture.empty()) {
      made_ = made_bmp();
      file_ = made_;
    } else {
      mapped_ = MappedFile(options.picture);
      file_ = mapped_.bytes();
      result_.picture = options.picture.filename().string();
    }
    decode();
    family_.require_usable_shape(image_.size(), options.picture.string());
    result_.source = image_.size();
    result_.file_bytes = file_.size();
  }

  ImageBenchResult run() {
    const LimitsOptions limits{.seconds = options_.limits_seconds,
                               .memory = true,
                               .progress = options_.runs.progress,
                               .cancel = options_.runs.cancel};
    result_.limits.before = measure_limits(limits);
    const double source = static_cast<double>(image_.height() * image_.width());
    const double target = static_cast<double>(options_.size.height * options_.size.width);
    const double source_bytes = 3 * source;
    const double target_bytes = 3 * target;
    const double number_bytes = target_bytes * sizeof(float);
    const double patch_bytes = number_bytes * static_cast<double>(config_.temporal_patch_size);
    const auto file_bytes = static_cast<double>(file_.size());
    MemoryWatch watch;
    measure("decode", source, file_bytes + source_bytes, [&] { decode(); });
    measure("resize", source, source_bytes + target_bytes, [&] { resize(); });
    measure("normalise", target, target_bytes + number_bytes, [&] { normalise(); });
    measure("patches", target, number_bytes + patch_bytes, [&] { cut(); });
    double moved = 0;
    for (const ImageStep& step : result_.steps) moved += step.moved_bytes;
    measure("all", source, moved, [&] {
      decode();
      resize();
      normalise();
      cut();
    });
    result_.most = watch.stop();
    result_.limits.after = measure_limits(limits);
    return std::move(result_);
  }

 private:
  void decode() { image_ = decode_image(file_, options_.picture.empty() ? "" : options_.picture.string()); }
  void resize() { resized_ = resize_bicubic(image_, options_.size); }
  void normalise() { pixels_ = normalised_pixels(resized_, config_); }
  void cut() { patches_ = family_.patches(pixels_, config_); }

  void measure(const std::string& name, double pixels, double moved_bytes,
               const std::function<void()>& step) {
    result_.steps.push_back({name, time_runs(options_.runs, name, step), pixels, moved_bytes});
  }

  const ImageBenchOptions& options_;
  const Family& family_ = *families().front();
  const PreprocessorConfig config_{};  // of the published checkpoints
  std::vector<std::byte> made_;
  MappedFile mapped_;
  std::span<const std::byte> file_;
  RgbImage image_;
  RgbImage resized_;
  Tensor pixels_;
  Tensor patches_;
  ImageBenchResult result_;
};

}  // namespace

ImageBenchResult bench_image(const ImageBenchOptions& options) { return ImageBench(options).run(); }

}  // namespace qvl
