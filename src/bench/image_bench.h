// The speed of preparing a picture for the model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "bench/machine_limits.h"
#include "bench/memory_use.h"
#include "bench/timed_runs.h"
#include "image/pixel_size.h"

namespace qvl {

struct ImageBenchOptions {
  std::filesystem::path picture{};  // empty: a BMP of 1600 x 1200 pixels, made in memory
  PixelSize size{672, 672};         // that it is resized to; multiples of 28
  RunOptions runs;
  double limits_seconds = 1;
};

struct ImageStep {
  std::string name;  // "decode", "resize", "normalise", "patches", "all"
  Samples seconds;
  double pixels = 0;  // of the source (decode, resize, all), else of the resized picture
  // What the step must read and write at least, its input and its output, each once; of "all" the sum.
  double moved_bytes = 0;
};

struct ImageBenchResult {
  std::string picture;  // the file's name; "" for the one made
  PixelSize source;     // upright
  std::uint64_t file_bytes = 0;
  std::vector<ImageStep> steps;
  MemoryUse most;  // while it ran
  MeasuredLimits limits;
};

// One thread. Throws InputError for a picture that cannot be read, UsageError for an impossible size.
[[nodiscard]] ImageBenchResult bench_image(const ImageBenchOptions& options);

}  // namespace qvl
