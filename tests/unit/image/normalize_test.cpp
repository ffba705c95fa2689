#include "image/normalize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "picture_cases.h"
#include "qvl/error.h"

namespace qvl {
namespace {

// Of CLIP, as in the preprocessor_config.json of the golden's checkpoint.
constexpr std::array<float, 3> kMean{0.48145466F, 0.4578275F, 0.40821073F};
constexpr std::array<float, 3> kStd{0.26862954F, 0.26130258F, 0.27577711F};

TEST(Normalize, EveryLevelEqualsTheReferenceToTheBit) {
  const std::string golden = test::picture_bytes("more/normalized-levels.f32");
  ASSERT_EQ(golden.size(), 3 * 256 * sizeof(float));
  RgbImage image({16, 16});
  for (std::size_t i = 0; i < 256; ++i) {
    for (std::size_t c = 0; c < 3; ++c) image.pixels()[i * 3 + c] = static_cast<std::uint8_t>(i);
  }
  std::vector<float> found(3 * 256);
  normalize_planar(image, kMean, kStd, found);
  int compared = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    float expected = 0;
    std::memcpy(&expected, golden.data() + i * sizeof(float), sizeof(float));
    if (std::isnan(expected)) continue;
    EXPECT_EQ(found[i], expected) << "channel " << i / 256 << ", level " << i % 256;
    ++compared;
  }
  EXPECT_GT(compared, 760);
}

TEST(Normalize, WritesPlanes) {
  const RgbImage image = test::random_image({5, 7}, 9);
  std::vector<float> planes(3 * 35);
  normalize_planar(image, {0.0F, 0.5F, 1.0F}, {1.0F, 0.5F, 0.25F}, planes);
  for (std::size_t i = 0; i < 35; ++i) {
    EXPECT_EQ(planes[i], static_cast<float>(image.pixels()[i * 3]) / 255.0F);
    EXPECT_EQ(planes[35 + i], (static_cast<float>(image.pixels()[i * 3 + 1]) / 255.0F - 0.5F) / 0.5F);
    EXPECT_EQ(planes[70 + i], (static_cast<float>(image.pixels()[i * 3 + 2]) / 255.0F - 1.0F) / 0.25F);
  }
}

TEST(Normalize, RefusesAWrongSpaceAndAZeroDeviation) {
  const RgbImage image({2, 2});
  std::vector<float> space(12);
  EXPECT_NO_THROW(normalize_planar(image, kMean, kStd, space));
  EXPECT_THROW(normalize_planar(image, kMean, {1.0F, 0.0F, 1.0F}, space), UsageError);
  space.resize(11);
  EXPECT_THROW(normalize_planar(image, kMean, kStd, space), UsageError);
}

}  // namespace
}  // namespace qvl
