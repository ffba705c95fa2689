// The pictures of tests/data/picture-files and what the reference makes of them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "image/rgb_image.h"

namespace qvl::test {

// From cases.json: what the reference's processor does with a file.
struct ProcessorCase {
  std::string file;
  std::string expected;
  std::optional<PixelSize> oriented;  // not given for fixed sizes
  PixelSize resized;
  std::int64_t min_pixels = 0;  // both 0 when the size is fixed
  std::int64_t max_pixels = 0;
};

// From more/cases.json: what Pillow decodes.
struct PictureCase {
  std::string file;
  PixelSize size;
  std::size_t needed_bytes = 0;  // Pillow refuses what is cut shorter
};

struct SmartResizeCase {
  PixelSize size;
  std::int64_t min_pixels;
  std::int64_t max_pixels;
  PixelSize result;
};

std::vector<ProcessorCase> processor_cases();
std::vector<PictureCase> picture_cases();
std::vector<SmartResizeCase> smart_resize_cases();

std::filesystem::path picture(const std::string& name);  // tests/data/picture-files/NAME
std::string picture_bytes(const std::string& name);
RgbImage decode(const std::string& bytes);

// Pixels that a seed gives, the same everywhere.
RgbImage random_image(PixelSize size, std::uint32_t seed);

// "equal", or where the first difference is.
std::string difference(const RgbImage& found, const RgbImage& expected);

}  // namespace qvl::test
