#include "models/qwen25vl/smart_resize.h"

#include <gtest/gtest.h>

#include <limits>

#include "picture_cases.h"
#include "qvl/error.h"

namespace qvl::qwen25vl {
namespace {

constexpr std::int64_t kMin = 3136;
constexpr std::int64_t kMax = 12845056;

TEST(SmartResize, EqualsTheReferenceOnEveryRow) {
  const auto cases = test::smart_resize_cases();
  ASSERT_EQ(cases.size(), 400U);
  for (const test::SmartResizeCase& one : cases) {
    EXPECT_EQ(smart_resize(one.size, 28, one.min_pixels, one.max_pixels), one.result)
        << one.size.height << "x" << one.size.width << " " << one.min_pixels << " " << one.max_pixels;
  }
}

TEST(SmartResize, RoundsHalvesToEven) {
  EXPECT_EQ(smart_resize({70, 98}, 28, kMin, kMax), (PixelSize{56, 112}));  // 2.5 and 3.5 units
}

TEST(SmartResize, RefusesLongPictures) {
  EXPECT_NO_THROW((void)smart_resize({2000, 10}, 28, kMin, kMax));
  EXPECT_THROW((void)smart_resize({2001, 10}, 28, kMin, kMax), InputError);
  EXPECT_THROW((void)smart_resize({10, 2001}, 28, kMin, kMax), InputError);
}

TEST(SmartResize, RefusesWhatHasNoPixelsOrNoBounds) {
  EXPECT_THROW((void)smart_resize({0, 10}, 28, kMin, kMax), InputError);
  EXPECT_THROW((void)smart_resize({10, -1}, 28, kMin, kMax), InputError);
  EXPECT_THROW((void)smart_resize({10, 10}, 0, kMin, kMax), UsageError);
  EXPECT_THROW((void)smart_resize({10, 10}, 28, 0, kMax), UsageError);
  EXPECT_THROW((void)smart_resize({10, 10}, 28, kMax, kMin), UsageError);
  constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();
  EXPECT_THROW((void)smart_resize({10, 10}, kLargest, kMin, kMax), UsageError);
  EXPECT_NO_THROW((void)smart_resize({10, 10}, 28, kLargest / 2, kLargest));
}

}  // namespace
}  // namespace qvl::qwen25vl
