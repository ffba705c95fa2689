#include "kernels/rotary.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "qvl/error.h"

namespace qvl {
namespace {

std::vector<float> numbers(std::size_t count, std::uint32_t state) {
  std::vector<float> values(count);
  for (float& value : values) {
    state = state * 1664525U + 1013904223U;
    value = (static_cast<float>(state >> 8U) - 0x1p23F) * 0x1p-22F;
  }
  return values;
}

struct Problem {
  Shape x, cos, sin;
  std::int64_t middle = 0;
  std::int64_t axis = -1;
};

std::size_t count(const Shape& shape) { return static_cast<std::size_t>(element_count(shape).value()); }

// Element by element, through the indices of the result.
std::vector<float> plainly(const Problem& p, const Shape& result, const std::vector<float>& x,
                           const std::vector<float>& cos, const std::vector<float>& sin) {
  std::vector<float> out;
  const std::size_t axis =
      p.axis < 0 ? result.size() - 1 : result.size() - p.x.size() + static_cast<std::size_t>(p.axis);
  const std::int64_t depth = result[axis];
  const std::int64_t middle = p.middle <= 0                          ? depth / 2
                              : p.middle >= p.x.back() && p.axis < 0 ? depth
                                                                     : p.middle;
  for (std::size_t i = 0; i < count(result); ++i) {
    std::vector<std::int64_t> index(result.size());
    for (std::size_t d = result.size(), rest = i; d-- > 0; rest /= static_cast<std::size_t>(result[d]))
      index[d] = static_cast<std::int64_t>(rest) % result[d];
    const auto at = [&](const Shape& shape, const std::vector<float>& values, std::int64_t along) {
      std::int64_t place = 0;
      for (std::size_t d = 0; d < shape.size(); ++d) {
        const std::size_t of_result = result.size() - shape.size() + d;
        const std::int64_t own = of_result == axis ? along : index[of_result];
        place = place * shape[d] + (shape[d] == 1 ? 0 : own);
      }
      return values[static_cast<std::size_t>(place)];
    };
    const std::int64_t j = index[axis];
    const float turned = j < depth - middle ? -at(p.x, x, middle + j) : at(p.x, x, j - (depth - middle));
    const float straight = at(p.x, x, j) * at(p.cos, cos, j);
    const float crossed = turned * at(p.sin, sin, j);
    out.push_back(straight + crossed);
  }
  return out;
}

TEST(Rotary, IsWhatTheStepsGiveToTheBit) {
  for (const Problem& p :
       {Problem{{2, 3, 5, 8}, {2, 3, 5, 8}, {2, 3, 5, 8}}, Problem{{2, 3, 5, 8}, {5, 8}, {5, 8}},
        Problem{{2, 3, 5, 8}, {2, 1, 5, 8}, {1, 1, 1, 8}}, Problem{{5, 3, 6}, {5, 1, 6}, {5, 1, 1}},
        Problem{{1, 3, 80}, {4, 1, 80}, {4, 3, 80}},  // x broadcasts
        Problem{{3, 8}, {2, 1, 1, 8}, {1}}, Problem{{8}, {8}, {1}}, Problem{{2, 7}, {7}, {2, 7}, 3},
        Problem{{2, 7}, {7}, {2, 7}, 7}, Problem{{4, 1}, {4, 1}, {4, 1}, 1},
        Problem{{2, 3, 8}, {2, 1, 8}, {8}, 0, 2}, Problem{{2, 6, 8}, {2, 1, 8}, {6, 1}, 0, 1},
        // Of the result it is axis 1.
        Problem{{4, 3}, {2, 4, 3}, {2, 1, 1}, 3, 0},
        // No second half.
        Problem{{2, 8}, {8}, {8}, 9}, Problem{{2, 1}, {2, 4}, {4}, 1}, Problem{{0, 8}, {0, 8}, {1, 8}},
        Problem{{3, 0}, {3, 0}, {1}}}) {
    SCOPED_TRACE(to_string(p.x) + to_string(p.cos) + to_string(p.sin));
    const auto x = numbers(count(p.x), 1);
    const auto cos = numbers(count(p.cos), 2);
    const auto sin = numbers(count(p.sin), 3);
    const RotaryInputs inputs{{p.x, x.data()}, {p.cos, cos.data()}, {p.sin, sin.data()}, p.middle, p.axis};
    const Shape shape = rotary_shape(inputs);
    std::vector<float> out(count(shape), NAN);
    rotary(inputs, out);
    EXPECT_EQ(out, plainly(p, shape, x, cos, sin));
  }
}

TEST(Rotary, RefusesShapesThatDoNotGoTogether) {
  for (const Problem& p :
       {Problem{{2, 8}, {3, 8}, {8}}, Problem{{2, 8}, {2, 4}, {8}}, Problem{{2, 7}, {7}, {7}},
        Problem{{}, {8}, {8}}, Problem{{2, 1}, {2, 4}, {4}}, Problem{{2, 8}, {8}, {8}, 0, 2},
        Problem{{2, 8}, {8}, {8}, 0, -3}, Problem{{2, 2}, {2, 4}, {4}, 1}}) {
    const RotaryInputs inputs{{p.x, nullptr}, {p.cos, nullptr}, {p.sin, nullptr}, p.middle, p.axis};
    try {
      (void)rotary_shape(inputs);
      FAIL() << to_string(p.x);
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find("x " + to_string(p.x)), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace qvl
