#include "runtime/tensor_info.h"

#include <gtest/gtest.h>

namespace qvl {
namespace {

TEST(TensorInfo, AdmitsShapesByRankAndFixedDimensions) {
  const TensorInfo info{"x", DType::f32, {{-1, "batch"}, {3, ""}, {-1, ""}}};
  EXPECT_TRUE(info.admits({1, 3, 5}));
  EXPECT_TRUE(info.admits({0, 3, 0}));
  EXPECT_FALSE(info.admits({1, 4, 5}));
  EXPECT_FALSE(info.admits({1, 3}));
  EXPECT_FALSE(info.admits({}));
  EXPECT_EQ(to_string(info), "F32 [batch, 3, ?]");
}

TEST(TensorInfo, WithoutDimensionsAdmitsEveryRank) {
  const TensorInfo info{"x", DType::f16, {}};
  EXPECT_TRUE(info.admits({}));
  EXPECT_TRUE(info.admits({2, 2}));
  EXPECT_EQ(to_string(info), "F16 []");
}

}  // namespace
}  // namespace qvl
