// The reference's own numbers are in tests/parity; here is what it refuses, and one case by hand.
#include "models/qwen25vl/rope_index.h"

#include <gtest/gtest.h>

#include "qvl/error.h"

namespace qvl::qwen25vl {
namespace {

using Integers = std::vector<std::int64_t>;
constexpr std::int64_t kImage = 9;

TEST(RopeIndex, ByHand) {
  // padding, text, a picture of 1 x 2 tokens, text
  const RopeIndex r = rope_index(Integers{0, 1, kImage, kImage, 2}, Integers{0, 1, 1, 1, 1},
                                 std::vector<PatchGrid>{{2, 4}}, kImage, 2);
  EXPECT_EQ(r.time, (Integers{0, 0, 1, 1, 3}));
  EXPECT_EQ(r.height, (Integers{0, 0, 1, 1, 3}));
  EXPECT_EQ(r.width, (Integers{0, 0, 1, 2, 3}));
  EXPECT_EQ(r.delta, 0);
}

TEST(RopeIndex, RefusesTooManyOrTooFewImageTokens) {
  const Integers mask(3, 1);
  EXPECT_THROW(
      (void)rope_index(Integers{kImage, kImage, kImage}, mask, std::vector<PatchGrid>{{2, 4}}, kImage, 2),
      InputError);
  EXPECT_THROW((void)rope_index(Integers{kImage, 1, 1}, mask, std::vector<PatchGrid>{{2, 4}}, kImage, 2),
               InputError);
  EXPECT_THROW((void)rope_index(Integers{kImage, 1, 1}, mask, std::vector<PatchGrid>{}, kImage, 2),
               InputError);
}

}  // namespace
}  // namespace qvl::qwen25vl
