#include "kernels/transpose.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "qvl/error.h"

namespace qvl {
namespace {

template <class T>
void check(std::int64_t rows, std::int64_t columns, std::int64_t stride) {
  std::vector<T> source(static_cast<std::size_t>((rows - 1) * stride + columns));
  std::iota(source.begin(), source.end(), T{0});
  std::vector<T> destination(static_cast<std::size_t>(rows * columns));
  transpose(std::as_bytes(std::span(source)), stride, std::as_writable_bytes(std::span(destination)), rows,
            columns, sizeof(T));
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      ASSERT_EQ(destination[static_cast<std::size_t>(c * rows + r)],
                source[static_cast<std::size_t>(r * stride + c)])
          << rows << " x " << columns << ", row " << r << ", column " << c;
    }
  }
}

TEST(Transpose, MovesEveryElement) {
  for (const std::int64_t rows : {1, 2, 8, 31, 64, 67, 200}) {
    for (const std::int64_t columns : {1, 7, 8, 32, 65, 130}) {
      for (const std::int64_t more : {0, 3}) {
        check<std::uint16_t>(rows, columns, columns + more);
        check<std::uint32_t>(rows, columns, columns + more);
      }
    }
  }
}

TEST(Transpose, RefusesSpacesThatDoNotFit) {
  std::vector<std::byte> a(8);
  std::vector<std::byte> b(6);
  EXPECT_THROW(transpose(a, 2, b, 2, 2, 2), UsageError);
  EXPECT_THROW(transpose(b, 2, a, 2, 2, 2), UsageError);
  EXPECT_THROW(transpose(a, 3, a, 2, 2, 2), UsageError);
  EXPECT_THROW(transpose(a, 1, a, 2, 2, 2), UsageError);
  EXPECT_THROW(transpose(a, 1, a, 1, 1, 8), UsageError);
}

}  // namespace
}  // namespace qvl
