#include "picture_cases.h"

#include <random>
#include <span>

#include "core/json_text.h"
#include "image/decode.h"
#include "support/test_data.h"

namespace qvl::test {
namespace {

Json cases_file(const std::string& name) { return read_json_file(picture(name)); }

PixelSize width_first(const Json& pair) {
  return {pair.at(1).get<std::int64_t>(), pair.at(0).get<std::int64_t>()};
}

}  // namespace

std::vector<ProcessorCase> processor_cases() {
  std::vector<ProcessorCase> result;
  const Json file = cases_file("cases.json");
  for (const Json& row : file.at("cases")) {
    ProcessorCase one;
    one.file = row.at("file");
    one.expected = row.at("expected");
    if (row.contains("oriented_size")) one.oriented = width_first(row.at("oriented_size"));
    one.resized = width_first(row.at("resized"));
    one.min_pixels = row.value("min_pixels", std::int64_t{0});
    one.max_pixels = row.value("max_pixels", std::int64_t{0});
    result.push_back(one);
  }
  return result;
}

std::vector<PictureCase> picture_cases() {
  std::vector<PictureCase> result;
  const Json file = cases_file("more/cases.json");
  for (const Json& row : file.at("cases")) {
    result.push_back({row.at("file"), width_first(row.at("size")), row.at("needed_bytes")});
  }
  return result;
}

std::vector<SmartResizeCase> smart_resize_cases() {
  std::vector<SmartResizeCase> result;
  const Json file = cases_file("cases.json");
  for (const Json& row : file.at("smart_resize")) {
    result.push_back({{row.at(0), row.at(1)}, row.at(2), row.at(3), {row.at(4).at(0), row.at(4).at(1)}});
  }
  return result;
}

std::filesystem::path picture(const std::string& name) { return data("picture-files") / name; }

std::string picture_bytes(const std::string& name) { return read_file(picture(name)); }

RgbImage decode(const std::string& bytes) {
  return decode_image(std::as_bytes(std::span(bytes)), "the picture");
}

RgbImage random_image(PixelSize size, std::uint32_t seed) {
  std::mt19937 random(seed);
  RgbImage image(size);
  // Extremes are frequent: they make the sums overshoot and the clamping visible.
  for (std::uint8_t& value : image.pixels()) {
    const auto kind = random() % 4;
    value = static_cast<std::uint8_t>(kind == 0 ? 0 : kind == 1 ? 255 : random() % 256);
  }
  return image;
}

std::string difference(const RgbImage& found, const RgbImage& expected) {
  if (found.size() != expected.size()) {
    return "size " + std::to_string(found.width()) + "x" + std::to_string(found.height()) + " instead of " +
           std::to_string(expected.width()) + "x" + std::to_string(expected.height());
  }
  for (std::size_t i = 0; i < expected.pixels().size(); ++i) {
    if (found.pixels()[i] == expected.pixels()[i]) continue;
    const std::size_t at = i / 3;
    const auto width = static_cast<std::size_t>(expected.width());
    return "at x " + std::to_string(at % width) + ", y " + std::to_string(at / width) + ", channel " +
           std::to_string(i % 3) + ": " + std::to_string(found.pixels()[i]) + " instead of " +
           std::to_string(expected.pixels()[i]);
  }
  return "equal";
}

}  // namespace qvl::test
