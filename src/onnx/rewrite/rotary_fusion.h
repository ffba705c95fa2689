// Where a slice turns queries or keys step by step. Internal to this layer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "onnx/read/slice_view.h"

namespace qvl {

// x cos + rotate_half(x) sin, as transformers' rotate_half has it: the halves of an axis change places, and
// the one that comes first then is negated.
struct RotaryFusion {
  std::string x;
  std::string cos;
  std::string sin;
  std::int64_t axis = -1;             // of x
  std::int64_t middle = 0;            // where the second half begins; 0: at half of the axis
  std::size_t last = 0;               // the node that gives the result
  std::vector<std::size_t> absorbed;  // the others
};

// Split in two equal halves, or two Slices by constants; then Neg, Concat, two Muls and Add, the axis called
// the same by all. Found only where no value between them is taken by anything else or asked for, and where x
// is known to be f32.
[[nodiscard]] std::vector<RotaryFusion> find_rotaries(const SliceView& view);

}  // namespace qvl
