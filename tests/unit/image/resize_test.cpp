#include "image/resize.h"

#include <gtest/gtest.h>

#include <random>

#include "picture_cases.h"
#include "qvl/error.h"

namespace qvl {
namespace {

void expect_equal_on_every_isa(PixelSize from, PixelSize to, std::uint32_t seed) {
  const RgbImage image = test::random_image(from, seed);
  const RgbImage expected = resize_bicubic(image, to, Isa::scalar);
  ASSERT_EQ(expected.size(), to);
  for (const Isa isa : supported_isas()) {
    EXPECT_EQ(test::difference(resize_bicubic(image, to, isa), expected), "equal")
        << name(isa) << " " << from.width << "x" << from.height << " to " << to.width << "x" << to.height;
  }
}

TEST(Resize, EveryIsaWritesWhatTheScalarPathWrites) {
  std::mt19937 random(5);
  const auto side = [&random](std::int64_t most) { return static_cast<std::int64_t>(1 + random() % most); };
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    const std::int64_t most = seed % 3 == 0 ? 8 : seed % 3 == 1 ? 60 : 300;
    expect_equal_on_every_isa({side(most), side(most)}, {side(most), side(most)}, seed);
  }
}

TEST(Resize, EveryIsaAgreesAtTheExtremes) {
  for (const PixelSize from :
       {PixelSize{1, 1}, {1, 5}, {5, 1}, {1, 3000}, {3000, 1}, {9, 2000}, {2000, 11}}) {
    for (const PixelSize to : {PixelSize{1, 1}, {1, 40}, {40, 1}, {2, 2}, {1, 2500}, {2500, 1}, {21, 22}}) {
      expect_equal_on_every_isa(from, to, 1);
    }
  }
}

// Rows and columns are left out when they do not change; with both left out it is a copy.
TEST(Resize, KeepsWhatDoesNotChange) {
  const RgbImage image = test::random_image({13, 17}, 4);
  EXPECT_EQ(resize_bicubic(image, {13, 17}), image);
  RgbImage flat({4, 6});
  for (std::uint8_t& value : flat.pixels()) value = 77;
  for (const Isa isa : supported_isas()) {
    for (const PixelSize to : {PixelSize{4, 9}, {9, 6}, {31, 2}}) {
      const RgbImage resized = resize_bicubic(flat, to, isa);
      for (const std::uint8_t value : resized.pixels()) ASSERT_EQ(value, 77);
    }
  }
}

TEST(Resize, RefusesSizesWithoutPixels) {
  const RgbImage image({2, 2});
  EXPECT_THROW((void)resize_bicubic(image, {0, 2}), UsageError);
  EXPECT_THROW((void)resize_bicubic(image, {2, -1}), UsageError);
  EXPECT_THROW((void)resize_bicubic(RgbImage(), {2, 2}), UsageError);
}

}  // namespace
}  // namespace qvl
