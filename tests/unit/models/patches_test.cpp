#include "models/qwen25vl/patches.h"

#include <gtest/gtest.h>

#include <numeric>

#include "qvl/error.h"

namespace qvl::qwen25vl {
namespace {

// Against the definition: value (channel, y, x) of the picture at every place.
TEST(Patches, FollowTheDefinition) {
  const PatchGeometry g{2, 2, 2, 3};
  constexpr std::int64_t kHeight = 4;
  constexpr std::int64_t kWidth = 8;
  std::vector<float> planar(static_cast<std::size_t>(3 * kHeight * kWidth));
  std::iota(planar.begin(), planar.end(), 0.0F);
  const Tensor patches = extract_patches(planar, kHeight, kWidth, g);
  ASSERT_EQ(patches.shape(), (Shape{8, 3 * 2 * 4}));
  std::size_t at = 0;
  for (std::int64_t block = 0; block < 2; ++block) {
    for (std::int64_t in_block = 0; in_block < 4; ++in_block) {
      for (std::int64_t c = 0; c < 3; ++c) {
        for (std::int64_t frame = 0; frame < 2; ++frame) {
          for (std::int64_t y = 0; y < 2; ++y) {
            for (std::int64_t x = 0; x < 2; ++x) {
              const std::int64_t row = in_block / 2 * 2 + y;
              const std::int64_t column = block * 4 + in_block % 2 * 2 + x;
              EXPECT_EQ(patches.as<float>()[at++], static_cast<float>((c * kHeight + row) * kWidth + column));
            }
          }
        }
      }
    }
  }
}

TEST(Patches, RefuseSidesThatDoNotDivide) {
  const std::vector<float> planar(3 * 28 * 30);
  EXPECT_THROW((void)extract_patches(planar, 28, 30, {}), InputError);
  EXPECT_THROW((void)extract_patches(planar, 28, 28, {}), InputError);
}

}  // namespace
}  // namespace qvl::qwen25vl
