#include "image/orientation.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "picture_cases.h"

namespace qvl {
namespace {

std::vector<int> red(const RgbImage& image) {
  std::vector<int> values;
  for (std::size_t i = 0; i < image.pixels().size(); i += 3) values.push_back(image.pixels()[i]);
  return values;
}

TEST(Upright, TurnsByEveryOrientation) {
  RgbImage image({2, 3});
  for (std::size_t i = 0; i < 6; ++i) {
    image.pixels()[i * 3] = static_cast<std::uint8_t>(i);
    image.pixels()[i * 3 + 1] = static_cast<std::uint8_t>(i + 100);
  }
  // 0 1 2
  // 3 4 5
  const std::vector<std::vector<int>> expected{
      {0, 1, 2, 3, 4, 5}, {0, 1, 2, 3, 4, 5}, {2, 1, 0, 5, 4, 3}, {5, 4, 3, 2, 1, 0}, {3, 4, 5, 0, 1, 2},
      {0, 3, 1, 4, 2, 5}, {3, 0, 4, 1, 5, 2}, {5, 2, 4, 1, 3, 0}, {2, 5, 1, 4, 0, 3}, {0, 1, 2, 3, 4, 5}};
  for (int orientation = 0; orientation < 10; ++orientation) {
    const RgbImage turned = upright(image, orientation);
    EXPECT_EQ(red(turned), expected[static_cast<std::size_t>(orientation)]) << orientation;
    EXPECT_EQ(turned.pixels()[1], turned.pixels()[0] + 100) << orientation;
    const bool swapped = orientation >= 5 && orientation <= 8;
    EXPECT_EQ(turned.size(), (swapped ? PixelSize{3, 2} : PixelSize{2, 3})) << orientation;
  }
}

TEST(Upright, OfLargerPicturesUndoesItself) {
  const RgbImage image = test::random_image({70, 45}, 3);
  for (const auto& [there, back] : {std::pair{2, 2}, {3, 3}, {4, 4}, {5, 5}, {6, 8}, {7, 7}, {8, 6}}) {
    EXPECT_NE(upright(image, there), image) << there;
    EXPECT_EQ(upright(upright(image, there), back), image) << there;
  }
}

std::vector<std::uint8_t> bytes(const std::string& text) { return {text.begin(), text.end()}; }

TEST(ExifOrientation, IgnoresWhatIsBroken) {
  const std::string good("II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0", 26);
  ASSERT_EQ(exif_orientation(bytes(good)), 6);
  EXPECT_EQ(exif_orientation({}), std::nullopt);
  EXPECT_EQ(exif_orientation(bytes("garbage that is no TIFF")), std::nullopt);
  for (std::size_t length = 0; length < 22; ++length) {
    EXPECT_EQ(exif_orientation(bytes(good.substr(0, length))), std::nullopt) << length;
  }
  std::string far = good;
  far.replace(4, 4, "\xff\xff\xff\xff");
  EXPECT_EQ(exif_orientation(bytes(far)), std::nullopt);
  std::string endless = good;
  endless.replace(8, 2, "\xff\xff");
  EXPECT_EQ(exif_orientation(bytes(endless)), 6);
  std::string huge_count = good;
  huge_count.replace(14, 4, "\xff\xff\xff\xff");
  EXPECT_EQ(exif_orientation(bytes(huge_count)), std::nullopt);
}

TEST(XmpOrientation, IsFoundAsAttributeAndAsElement) {
  EXPECT_EQ(xmp_orientation("<x tiff:Orientation=\"6\"/>"), 6);
  EXPECT_EQ(xmp_orientation("<tiff:Orientation>8</tiff:Orientation>"), 8);
  EXPECT_EQ(xmp_orientation("tiff:Orientation tiff:Orientation=\"x\" tiff:Orientation=\"3\""), 3);
  EXPECT_EQ(xmp_orientation("tiff:Orientation=\""), std::nullopt);
  EXPECT_EQ(xmp_orientation(""), std::nullopt);
}

}  // namespace
}  // namespace qvl
