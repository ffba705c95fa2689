// Decoding, resizing and normalizing of pictures; items are pixels (of the source; of the output for
// Normalize).
#include <benchmark/benchmark.h>

#include <filesystem>
#include <string>
#include <vector>

#include "core/mapped_file.h"
#include "image/decode.h"
#include "image/normalize.h"
#include "image/resize.h"

namespace {

constexpr qvl::PixelSize kModelSize{672, 672};

std::filesystem::path big_picture() {
  return std::filesystem::path(QVL_TEST_DATA) / "picture-files" / "big.jpg";
}

void count_pixels(benchmark::State& state, const qvl::RgbImage& image) {
  state.SetItemsProcessed(state.iterations() * image.height() * image.width());
}

void decode_jpeg(benchmark::State& state) {
  const qvl::MappedFile file(big_picture());
  qvl::RgbImage image;
  for (auto _ : state) image = qvl::decode_image(file.bytes(), "big.jpg");
  count_pixels(state, image);
}
BENCHMARK(decode_jpeg)->Unit(benchmark::kMillisecond);

void resize(benchmark::State& state, qvl::Isa isa, qvl::PixelSize size) {
  const qvl::RgbImage image = qvl::read_image(big_picture());
  for (auto _ : state) benchmark::DoNotOptimize(qvl::resize_bicubic(image, size, isa));
  count_pixels(state, image);
}

void decode_and_resize(benchmark::State& state) {
  const qvl::MappedFile file(big_picture());
  qvl::RgbImage image;
  for (auto _ : state) {
    image = qvl::decode_image(file.bytes(), "big.jpg");
    benchmark::DoNotOptimize(qvl::resize_bicubic(image, kModelSize));
  }
  count_pixels(state, image);
}
BENCHMARK(decode_and_resize)->Unit(benchmark::kMillisecond);

void normalize(benchmark::State& state) {
  const qvl::RgbImage image(kModelSize);
  std::vector<float> out(image.pixels().size());
  for (auto _ : state) {
    qvl::normalize_planar(image, {0.48F, 0.46F, 0.41F}, {0.27F, 0.26F, 0.28F}, out);
    benchmark::DoNotOptimize(out.data());
  }
  count_pixels(state, image);
}
BENCHMARK(normalize)->Unit(benchmark::kMillisecond);

// One per instruction set that the machine has.
const bool kRegistered = [] {
  for (const qvl::Isa isa : qvl::supported_isas()) {
    const std::string set(qvl::name(isa));
    const auto add = [&](const std::string& what, qvl::PixelSize size) {
      benchmark::RegisterBenchmark((what + "/" + set).c_str(), resize, isa, size)
          ->Unit(benchmark::kMillisecond);
    };
    add("resize_1600x1100_to_672x672", kModelSize);
    add("resize_1600x1100_to_1596x1092", {1092, 1596});
    add("resize_1600x1100_to_3192x2184", {2184, 3192});
  }
  return true;
}();

}  // namespace
