#include "kernels/rotary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "qvl/error.h"

namespace qvl {
namespace {

[[noreturn]] void throw_apart(const RotaryInputs& inputs) {
  throw InputError(
      fmt::format("rotary: x {}, cos {}, sin {}, the axis {} and the middle {} do not go together",
                  to_string(inputs.x.shape), to_string(inputs.cos.shape), to_string(inputs.sin.shape),
                  inputs.axis, inputs.middle));
}

// Of x, from 0 on.
std::size_t axis_of(const RotaryInputs& inputs) {
  const auto rank = static_cast<std::int64_t>(inputs.x.shape.size());
  if (inputs.axis < -rank || inputs.axis >= rank) throw_apart(inputs);
  return static_cast<std::size_t>(inputs.axis < 0 ? inputs.axis + rank : inputs.axis);
}

// Where the second half begins on an axis of x of this size; beyond it where there is none.
std::int64_t middle_of(const RotaryInputs& inputs, std::int64_t depth) {
  if (inputs.middle <= 0 && depth % 2 != 0) throw_apart(inputs);
  return inputs.middle > 0 ? inputs.middle : depth / 2;
}

// A row of the result where cos and sin have one, too: the loops that compilers turn into vector
// instructions.
void turn_whole_row(const float* x, const float* cos, const float* sin, std::size_t depth, std::size_t middle,
                    float* out) {
  const std::size_t behind = depth - middle;
  for (std::size_t i = 0; i < behind; ++i) out[i] = x[i] * cos[i] + -x[middle + i] * sin[i];
  for (std::size_t i = behind; i < depth; ++i) out[i] = x[i] * cos[i] + x[i - behind] * sin[i];
}

// Any other row, with steps from one element to the next.
struct Row {
  const float* x;
  const float* cos;
  const float* sin;
  float* out;
};
void turn_row(const Row& row, const std::array<std::size_t, 4>& step, std::size_t depth, std::size_t middle) {
  const std::size_t behind = depth - middle;
  for (std::size_t i = 0; i < depth; ++i) {
    const float turned = i < behind ? -row.x[(middle + i) * step[0]] : row.x[(i - behind) * step[0]];
    row.out[i * step[3]] = row.x[i * step[0]] * row.cos[i * step[1]] + turned * row.sin[i * step[2]];
  }
}

}  // namespace

Shape rotary_shape(const RotaryInputs& inputs) {
  Shape result = inputs.x.shape;
  for (const Shape* const shape : {&inputs.cos.shape, &inputs.sin.shape}) {
    if (!widen(result, *shape)) throw_apart(inputs);
  }
  const std::size_t axis = axis_of(inputs);
  const std::int64_t depth = inputs.x.shape[axis];
  const bool has_second = middle_of(inputs, depth) < depth;
  // What broadcasts along the axis has one element, which is no half.
  if (result[result.size() - inputs.x.shape.size() + axis] != depth && (depth != 1 || has_second))
    throw_apart(inputs);
  return result;
}

void rotary(const RotaryInputs& inputs, std::span<float> out) {
  const Shape shape = rotary_shape(inputs);
  if (out.empty()) return;
  const std::size_t axis = shape.size() - inputs.x.shape.size() + axis_of(inputs);
  const auto depth = static_cast<std::size_t>(shape[axis]);
  const std::int64_t own_depth = inputs.x.shape[axis_of(inputs)];
  const std::int64_t begin = middle_of(inputs, own_depth);
  const std::size_t middle = begin >= own_depth ? depth : static_cast<std::size_t>(begin);
  const std::array<std::vector<std::size_t>, 4> strides{
      broadcast_strides(inputs.x.shape, shape), broadcast_strides(inputs.cos.shape, shape),
      broadcast_strides(inputs.sin.shape, shape), broadcast_strides(shape, shape)};
  const std::array<std::size_t, 4> step{strides[0][axis], strides[1][axis], strides[2][axis],
                                        strides[3][axis]};
  const bool whole = std::ranges::all_of(step, [](std::size_t s) { return s == 1; });
  Row row{inputs.x.values, inputs.cos.values, inputs.sin.values, out.data()};
  std::vector<std::int64_t> place(shape.size(), 0);
  for (std::size_t rows = out.size() / depth; rows > 0; --rows) {
    if (whole) {
      turn_whole_row(row.x, row.cos, row.sin, depth, middle, row.out);
    } else {
      turn_row(row, step, depth, middle);
    }
    for (std::size_t d = shape.size(); d-- > 0;) {
      if (d == axis) continue;
      // Back to the start of the dimension after its last place.
      const bool ends = ++place[d] == shape[d];
      const auto move = [&](auto& pointer, std::size_t stride) {
        pointer += stride;
        if (ends) pointer -= stride * static_cast<std::size_t>(shape[d]);
      };
      move(row.x, strides[0][d]);
      move(row.cos, strides[1][d]);
      move(row.sin, strides[2][d]);
      move(row.out, strides[3][d]);
      if (!ends) break;
      place[d] = 0;
    }
  }
}

}  // namespace qvl
