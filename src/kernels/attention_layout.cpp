#include "kernels/attention_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <vector>

#include "qvl/error.h"

namespace qvl {
namespace {

[[noreturn]] void refuse(const AttentionInputs& in, const char* reason) {
  throw InputError(
      fmt::format("attention: {}: q {}, k transposed {}, v {}, mask {}; expected [..., S, d], [..., d, L], "
                  "[..., L, e] and what broadcasts to [..., S, L]",
                  reason, to_string(in.q.shape), to_string(in.k_transposed.shape), to_string(in.v.shape),
                  in.mask ? to_string(in.mask->shape) : "none"));
}

// A shape without its last two dimensions.
std::span<const std::int64_t> lead_of(const Shape& shape) {
  return std::span(shape).first(shape.size() < 2 ? 0 : shape.size() - 2);
}

std::vector<std::size_t> lead_strides(const Shape& whole, const Shape& shape) {
  std::vector<std::size_t> strides = broadcast_strides(lead_of(shape), whole);
  if (shape.size() < 2) return strides;
  const auto matrix = static_cast<std::size_t>(shape[shape.size() - 1] * shape[shape.size() - 2]);
  for (std::size_t& stride : strides) stride *= matrix;
  return strides;
}

// The dimension that is `back` from the last; 1 where the shape has none.
std::int64_t from_back(const Shape& shape, std::size_t back) {
  return shape.size() > back ? shape[shape.size() - 1 - back] : 1;
}

// Of two dimensions that broadcast with each other; -1 when they do not.
std::int64_t joined(std::int64_t a, std::int64_t b) {
  if (a == b || b == 1) return a;
  return a == 1 ? b : -1;
}

}  // namespace

AttentionLayout::AttentionLayout(const AttentionInputs& in) {
  const Shape none{1, 1};
  const Shape& masks = in.mask ? in.mask->shape : none;
  for (const Shape* shape : {&in.q.shape, &in.k_transposed.shape, &in.v.shape}) {
    if (shape->size() < 2) refuse(in, "an operand with fewer than two dimensions");
    if (!element_count(*shape)) refuse(in, "an impossible shape");
  }
  if (!element_count(masks)) refuse(in, "an impossible shape");
  if (from_back(in.q.shape, 0) != from_back(in.k_transposed.shape, 1)) refuse(in, "the depths differ");
  const std::int64_t all_rows = joined(from_back(in.q.shape, 1), from_back(masks, 1));
  const std::int64_t all_keys = joined(from_back(in.k_transposed.shape, 0), from_back(masks, 0));
  if (all_rows < 0 || all_keys < 0) refuse(in, "the mask does not broadcast with the scores");
  if (all_keys != from_back(in.v.shape, 1)) refuse(in, "as many values as keys are needed");
  for (const Shape* shape : {&in.q.shape, &in.k_transposed.shape, &masks, &in.v.shape}) {
    if (!widen(lead, lead_of(*shape))) refuse(in, "the leading dimensions do not broadcast");
  }
  rows = static_cast<std::size_t>(all_rows);
  keys = static_cast<std::size_t>(all_keys);
  depth = static_cast<std::size_t>(from_back(in.q.shape, 0));
  width = static_cast<std::size_t>(from_back(in.v.shape, 0));
  if (!element_count(shape())) refuse(in, "the result is too large");
  masked = in.mask.has_value();
  q = lead_strides(lead, in.q.shape);
  k = lead_strides(lead, in.k_transposed.shape);
  v = lead_strides(lead, in.v.shape);
  mask = lead_strides(lead, masks);
  q_row = from_back(in.q.shape, 1) == 1 ? 0 : depth;
  k_key = from_back(in.k_transposed.shape, 0) == 1 ? 0 : 1;
  mask_key = from_back(masks, 0) == 1 ? 0 : 1;
  mask_row = from_back(masks, 1) == 1 ? 0 : static_cast<std::size_t>(from_back(masks, 0));
}

Shape AttentionLayout::shape() const {
  Shape result = lead;
  result.push_back(static_cast<std::int64_t>(rows));
  result.push_back(static_cast<std::int64_t>(width));
  return result;
}

}  // namespace qvl
