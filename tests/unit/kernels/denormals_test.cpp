#include "kernels/denormals.h"

#include <gtest/gtest.h>

#include <limits>
#include <thread>

namespace qvl {
namespace {

#if defined(__x86_64__) || defined(__aarch64__)
constexpr bool kHasMode = true;
#else
constexpr bool kHasMode = false;
#endif

// The compiler must neither compute these itself nor move them.
float half_of_least_normal() {
  volatile float least = std::numeric_limits<float>::min();
  volatile float half = least * 0.5F;
  return half;
}

float denormal_times_2_to_24() {
  volatile float denormal = std::numeric_limits<float>::denorm_min();
  volatile float twice = denormal * 16777216.0F;  // 2^-125: normal
  return twice;
}

TEST(Denormals, AreZeroWhileTheGuardLives) {
  ASSERT_GT(half_of_least_normal(), 0.0F);
  ASSERT_GT(denormal_times_2_to_24(), 0.0F);
  {
    const DenormalsAsZero as_zero;
    EXPECT_EQ(half_of_least_normal() == 0.0F, kHasMode);
    EXPECT_EQ(denormal_times_2_to_24() == 0.0F, kHasMode);
  }
  EXPECT_GT(half_of_least_normal(), 0.0F);
  EXPECT_GT(denormal_times_2_to_24(), 0.0F);
}

TEST(Denormals, AnInnerGuardLeavesTheOuterOneInForce) {
  const DenormalsAsZero outer;
  {
    const DenormalsAsZero inner;
  }
  EXPECT_EQ(half_of_least_normal() == 0.0F, kHasMode);
}

TEST(Denormals, StayWhereTheGuardIsNotWanted) {
  const DenormalsAsZero as_zero(false);
  EXPECT_GT(half_of_least_normal(), 0.0F);
}

TEST(Denormals, StayOnOtherThreads) {
  float elsewhere = 0;
  std::thread other([&] {
    const DenormalsAsZero as_zero;
    elsewhere = half_of_least_normal();
  });
  other.join();
  EXPECT_EQ(elsewhere == 0.0F, kHasMode);
  EXPECT_GT(half_of_least_normal(), 0.0F);
}

}  // namespace
}  // namespace qvl
