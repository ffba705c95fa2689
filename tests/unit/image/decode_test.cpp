#include "image/decode.h"

#include <gtest/gtest.h>

#include "image/resize.h"
#include "image/smart_resize.h"
#include "picture_cases.h"
#include "support/test_data.h"

namespace qvl {
namespace {

constexpr std::int64_t kFactor = 28;  // of the reference's processor

TEST(Decode, EveryPictureThroughTheProcessorEqualsTheReference) {
  const auto cases = test::processor_cases();
  ASSERT_FALSE(cases.empty());
  for (const test::ProcessorCase& one : cases) {
    SCOPED_TRACE(one.expected);
    const RgbImage image = read_image(test::picture(one.file));
    if (one.oriented) {
      EXPECT_EQ(image.size(), *one.oriented);
    }
    if (one.max_pixels > 0) {
      EXPECT_EQ(smart_resize(image.size(), kFactor, one.min_pixels, one.max_pixels), one.resized);
    }
    const RgbImage expected = read_image(test::picture(one.expected));
    EXPECT_EQ(test::difference(resize_bicubic(image, one.resized), expected), "equal");
  }
}

TEST(Decode, EveryKindOfPictureEqualsPillow) {
  const auto cases = test::picture_cases();
  ASSERT_FALSE(cases.empty());
  for (const test::PictureCase& one : cases) {
    SCOPED_TRACE(one.file);
    const RgbImage image = read_image(test::picture("more/" + one.file));
    EXPECT_EQ(image.size(), one.size);
    EXPECT_EQ(test::difference(image, read_image(test::picture("more/expected/" + one.file + ".png"))),
              "equal");
  }
}

TEST(Decode, LooksAtTheContentAndNotAtTheName) {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "photo.jpg", test::picture_bytes("rgb.png"));
  EXPECT_EQ(read_image(folder.path() / "photo.jpg"), read_image(test::picture("rgb.png")));
}

TEST(Decode, TakesAnyMaskThatIsARunOfBits) {
  // 32 bits with 10 per channel: Pillow refuses these; the value is scaled like its 5 and 6 bits.
  const auto u32 = [](std::uint32_t v) {
    std::string text;
    for (unsigned i = 0; i < 4; ++i) text += static_cast<char>((v >> (8 * i)) & 255U);
    return text;
  };
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
