#include "exporter/transpose.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "qvl/error.h"

namespace qvl {
namespace {

template <class T>
void check(std::int64_t rows, std::int64_t columns) {
  std::vector<T> source(static_cast<std::size_t>(rows * columns));
  std::iota(source.begin(), source.end(), T{0});
  std::vector<T> destination(source.size());
  transpose(std::as_bytes(std::span(source)), std::as_writable_bytes(std::span(destination)), rows, columns,
            sizeof(T));
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      ASSERT_EQ(destination[static_cast<std::size_t>(c * rows + r)],
                source[static_cast<std::size_t>(r * columns + c)]);
    }
  }
}

TEST(Transpose, MovesEveryElement) {
  for (const std::int64_t rows : {1, 2, 31, 32, 33, 100}) {
    for (const std::int64_t columns : {1, 7, 32, 65}) {
      check<std::uint16_t>(rows, columns);
      check<std::uint32_t>(rows, columns);
    }
  }
}

TEST(Transpose, RefusesSpacesThatDoNotFit) {
  std::vector<std::byte> a(8);
  std::vector<std::byte> b(6);
  EXPECT_THROW(transpose(a, b, 2, 2, 2), UsageError);
  EXPECT_THROW(transpose(a, a, 1, 1, 8), UsageError);
}

}  // namespace
}  // namespace qvl
