// What runs without goldens are found to be; whole runs are in certificate_test.cpp.
#include "verify/run_checks.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace qvl {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(ComparePictures, MustBeFiniteAndDiffer) {
  const std::vector<float> one{1, 2};
  const std::vector<float> other{1, 3};
  EXPECT_EQ(compare_pictures(one, other).status, CheckStatus::passed);
  EXPECT_NE(compare_pictures(one, one).detail.find("do not depend"), std::string::npos);
  for (const float bad : {kNan, kInfinity}) {
    const std::vector<float> broken{1, bad};
    for (const Check& check :
         {compare_pictures(one, broken), compare_pictures(broken, one), compare_pictures(broken, broken)}) {
      EXPECT_EQ(check.status, CheckStatus::failed);
      EXPECT_NE(check.detail.find("not finite"), std::string::npos) << check.detail;
    }
  }
}

}  // namespace
}  // namespace qvl
