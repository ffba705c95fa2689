#include "image/bmp_rle.h"

#include <gtest/gtest.h>

namespace qvl {
namespace {

using Code = std::vector<std::uint8_t>;

TEST(BmpRle, EndsOfRowsFillThemWithZero) {
  EXPECT_EQ(expand_bmp_rle(BmpRle::rle8, Code{2, 7, 0, 0, 3, 9, 0, 1}, 0, {2, 3}), (Code{7, 7, 0, 9, 9, 9}));
}

TEST(BmpRle, RunsEndWithTheirRow) {
  EXPECT_EQ(expand_bmp_rle(BmpRle::rle4, Code{200, 0x12, 0, 0, 3, 0x34}, 0, {2, 3}),
            (Code{1, 2, 1, 3, 4, 3}));
}

TEST(BmpRle, CopiesAreAlignedWithinTheFile) {
  EXPECT_EQ(expand_bmp_rle(BmpRle::rle8, Code{99, 0, 3, 5, 6, 7, 1, 8}, 1, {1, 4}), (Code{5, 6, 7, 8}));
  EXPECT_EQ(expand_bmp_rle(BmpRle::rle8, Code{0, 3, 5, 6, 7, 0, 1, 8}, 0, {1, 4}), (Code{5, 6, 7, 8}));
}

TEST(BmpRle, GivesNothingWhenTheCodeEndsEarly) {
  for (const Code& code :
       {Code{}, Code{2}, Code{2, 7}, Code{2, 7, 0, 1, 4, 7}, Code{0, 2, 1}, Code{0, 6, 1, 2, 3}}) {
    EXPECT_EQ(expand_bmp_rle(BmpRle::rle8, code, 0, {2, 3}), std::nullopt);
  }
  EXPECT_EQ(expand_bmp_rle(BmpRle::rle8, Code{2, 7}, 100, {1, 1}), std::nullopt);
}

TEST(BmpRle, NothingGoesBeyondThePicture) {
  EXPECT_EQ(expand_bmp_rle(BmpRle::rle8, Code{0, 2, 255, 255}, 0, {1, 2}), (Code{0, 0}));
  EXPECT_EQ(expand_bmp_rle(BmpRle::rle8, Code{0, 5, 1, 2, 3, 4, 5, 0, 9, 9}, 0, {1, 2}), (Code{1, 2}));
}

}  // namespace
}  // namespace qvl
