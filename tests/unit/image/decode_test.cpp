#include "image/decode.h"

#include <gtest/gtest.h>

#include "image/resize.h"
#include "models/qwen25vl/smart_resize.h"
#include "picture_cases.h"
#include "qvl/error.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using namespace qwen25vl;

constexpr std::int64_t kFactor = 28;                    // of the reference's processor
constexpr DecodeOptions kStored{.alpha = Alpha::drop};  // as the reference reads files

std::string u32(std::uint32_t v) {
  std::string text;
  for (unsigned i = 0; i < 4; ++i) text += static_cast<char>((v >> (8 * i)) & 255U);
  return text;
}

TEST(Decode, EveryPictureThroughTheProcessorEqualsTheReference) {
  const auto cases = test::processor_cases();
  ASSERT_FALSE(cases.empty());
  for (const test::ProcessorCase& one : cases) {
    SCOPED_TRACE(one.expected);
    const RgbImage image = read_image(test::picture(one.file), kStored);
    if (one.oriented) {
      EXPECT_EQ(image.size(), *one.oriented);
    }
    if (one.max_pixels > 0) {
      EXPECT_EQ(smart_resize(image.size(), kFactor, one.min_pixels, one.max_pixels), one.resized);
    }
    const RgbImage expected = read_image(test::picture(one.expected), kStored);
    EXPECT_EQ(test::difference(resize_bicubic(image, one.resized), expected), "equal");
  }
}

TEST(Decode, EveryKindOfPictureEqualsPillow) {
  const auto cases = test::picture_cases();
  ASSERT_FALSE(cases.empty());
  for (const test::PictureCase& one : cases) {
    SCOPED_TRACE(one.file);
    const RgbImage image = read_image(test::picture("more/" + one.file), kStored);
    EXPECT_EQ(image.size(), one.size);
    EXPECT_EQ(
        test::difference(image, read_image(test::picture("more/expected/" + one.file + ".png"), kStored)),
        "equal");
  }
}

// Every kind of transparency that Pillow knows, composed by it.
TEST(Decode, TransparentPixelsAreLaidOnWhite) {
  std::size_t different = 0;
  for (const test::PictureCase& one : test::picture_cases()) {
    SCOPED_TRACE(one.file);
    const std::filesystem::path white = test::picture("more/expected/" + one.file + ".white.png");
    const bool has_white = std::filesystem::exists(white);
    different += has_white ? 1 : 0;
    bool transparent = false;
    const RgbImage image = read_image(test::picture("more/" + one.file), {}, &transparent);
    EXPECT_EQ(test::difference(
                  image, read_image(has_white ? white : test::picture("more/expected/" + one.file + ".png"),
                                    kStored)),
              "equal");
    if (has_white) {
      EXPECT_TRUE(transparent);
    }
  }
  EXPECT_GE(different, 20U);
}

// Half of a colour and half of white, rounded to the nearest: (10 x 128 + 255 x 127) / 255 = 132.02.
TEST(Decode, ColoursAndWhiteAreMixedByTheAlpha) {
  const std::string bytes = "BM" + u32(0) + u32(0) + u32(14 + 124) + u32(124) + u32(1) + u32(1) +
                            u32(1U | (32U << 16U)) + u32(3) + u32(4) + u32(0) + u32(0) + u32(0) + u32(0) +
                            u32(0xff0000) + u32(0xff00) + u32(0xff) + u32(0xff000000) +
                            std::string(68, '\0') + u32(0x800a00ffU);
  const RgbImage white = decode_image(std::as_bytes(std::span(bytes)), "x");
  EXPECT_EQ(std::vector<std::uint8_t>(white.pixels().begin(), white.pixels().end()),
            (std::vector<std::uint8_t>{132, 127, 255}));
  bool transparent = false;
  const RgbImage stored = decode_image(std::as_bytes(std::span(bytes)), "x", kStored, &transparent);
  EXPECT_EQ(std::vector<std::uint8_t>(stored.pixels().begin(), stored.pixels().end()),
            (std::vector<std::uint8_t>{10, 0, 255}));
  EXPECT_TRUE(transparent);
}

// What phones and scanners write.
TEST(Decode, FormatsThatAreNotReadAreNamed) {
  const std::pair<std::string, const char*> cases[] = {
      {std::string("\0\0\0\x18", 4) + "ftypheic", "in the format HEIC,"},
      {std::string("\0\0\0\x18", 4) + "ftypmif1", "in the format HEIF,"},
      {std::string("\0\0\0\x20", 4) + "ftypavif", "in the format AVIF,"},
      {std::string("II*\0", 4), "in the format TIFF,"},
      {std::string("MM\0*", 4), "in the format TIFF,"},
      {"\xff\x0a", "in the format JPEG XL,"},
      {"%PDF-1.7", "in the format PDF,"}};
  for (const auto& [bytes, expected] : cases) {
    try {
      (void)decode_image(std::as_bytes(std::span(bytes)), "photo");
      ADD_FAILURE() << expected;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("convert it to PNG or JPEG"), std::string::npos);
    }
  }
}

TEST(Decode, LooksAtTheContentAndNotAtTheName) {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "photo.jpg", test::picture_bytes("rgb.png"));
  EXPECT_EQ(read_image(folder.path() / "photo.jpg"), read_image(test::picture("rgb.png")));
}

TEST(Decode, TakesAnyMaskThatIsARunOfBits) {
  // 32 bits with 10 per channel: Pillow refuses these; the value is scaled like its 5 and 6 bits.
  const std::string bytes = "BM" + u32(0) + u32(0) + u32(66) + u32(40) + u32(1) + u32(1) +
                            u32(1U | (32U << 16U)) + u32(3) + u32(4) + u32(0) + u32(0) + u32(0) + u32(0) +
                            u32(0x3ff00000) + u32(0x000ffc00) + u32(0x000003ff) +
                            u32((1023U << 20U) | (512U << 10U) | 3U);
  const RgbImage image = test::decode(bytes);
  ASSERT_EQ(image.size(), (PixelSize{1, 1}));
  EXPECT_EQ(image.pixels()[0], 255);
  EXPECT_EQ(image.pixels()[1], 127);
  EXPECT_EQ(image.pixels()[2], 0);
}

}  // namespace
}  // namespace qvl
