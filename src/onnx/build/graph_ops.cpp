// The ops of GraphBuilder: what each takes, and the dtype and shape it gives (ONNX operator schemas, opset
// 17).
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "onnx/build/graph_builder.h"
#include "onnx/build/graph_state.h"
#include "onnx/element_type.h"
#include "qvl/error.h"

namespace qvl {
namespace {

Tensor integers(const std::vector<std::int64_t>& values) {
  return Tensor::of<std::int64_t>(DType::i64, {static_cast<std::int64_t>(values.size())},
                                  std::span<const std::int64_t>(values));
}

std::string list_name(const char* prefix, const std::vector<std::int64_t>& values) {
  std::string name = prefix;
  for (const std::int64_t v : values) name += fmt::format("_{}", v);
  return name;
}

}  // namespace

Value GraphBuilder::unary(std::string_view op, const Value& x) {
  if (!is_floating(x.dtype)) state_->refuse(op, fmt::format("{} is {}, not floating", x.name, name(x.dtype)));
  return state_->node(op, {x}, x.dtype, x.shape);
}

Value GraphBuilder::binary(std::string_view op, const Value& a, const Value& b) {
  state_->same_dtype(op, a, b);
  if (a.dtype == DType::boolean) state_->refuse(op, "operands are boolean");
  return state_->node(op, {a, b}, a.dtype, state_->broadcast(op, a.shape, b.shape));
}

Value GraphBuilder::logical_and(const Value& a, const Value& b) {
  if (a.dtype != DType::boolean || b.dtype != DType::boolean)
    state_->refuse("And", "operands are not boolean");
  return state_->node("And", {a, b}, DType::boolean, state_->broadcast("And", a.shape, b.shape));
}

Value GraphBuilder::logical_not(const Value& x) {
  if (x.dtype != DType::boolean) state_->refuse("Not", fmt::format("{} is not boolean", x.name));
  return state_->node("Not", {x}, DType::boolean, x.shape);
}

Value GraphBuilder::equal(const Value& a, const Value& b) {
  state_->same_dtype("Equal", a, b);
  return state_->node("Equal", {a, b}, DType::boolean, state_->broadcast("Equal", a.shape, b.shape));
}

Value GraphBuilder::less_or_equal(const Value& a, const Value& b) {
  state_->same_dtype("LessOrEqual", a, b);
  return state_->node("LessOrEqual", {a, b}, DType::boolean,
                      state_->broadcast("LessOrEqual", a.shape, b.shape));
}

Value GraphBuilder::where(const Value& condition, const Value& then, const Value& otherwise) {
  if (condition.dtype != DType::boolean)
    state_->refuse("Where", fmt::format("{} is not boolean", condition.name));
  state_->same_dtype("Where", then, otherwise);
  SymbolicShape shape = state_->broadcast("Where", then.shape, otherwise.shape);
  shape = state_->broadcast("Where", shape, condition.shape);
  return state_->node("Where", {condition, then, otherwise}, then.dtype, std::move(shape));
}

Value GraphBuilder::cast(const Value& x, DType dtype) {
  if (x.dtype == dtype) return x;
  return state_->node("Cast", {x}, dtype, x.shape, {{"to", std::int64_t{onnx_dtype(dtype)}}});
}

Value GraphBuilder::matmul(const Value& a, const Value& b) {
  state_->same_dtype("MatMul", a, b);
  if (a.shape.size() < 2 || b.shape.size() < 2) {
    state_->refuse("MatMul", fmt::format("shapes {} and {}; matrices are needed", to_string(a.shape),
                                         to_string(b.shape)));
  }
  if (a.shape.back() != b.shape[b.shape.size() - 2]) {
    state_->refuse("MatMul", fmt::format("inner dimensions of {} {} and {} {} differ", a.name,
                                         to_string(a.shape), b.name, to_string(b.shape)));
  }
  SymbolicShape shape = state_->broadcast("MatMul", SymbolicShape(a.shape.begin(), a.shape.end() - 2),
                                          SymbolicShape(b.shape.begin(), b.shape.end() - 2));
  shape.push_back(a.shape[a.shape.size() - 2]);
  shape.push_back(b.shape.back());
  return state_->node("MatMul", {a, b}, a.dtype, std::move(shape));
}

Value GraphBuilder::gemm_transposed(const Value& a, const Value& b) {
  state_->same_dtype("Gemm", a, b);
  if (a.shape.size() != 2 || b.shape.size() != 2 || a.shape[1] != b.shape[1]) {
    state_->refuse("Gemm", fmt::format("shapes {} and {}; [M, K] and [N, K] are needed", to_string(a.shape),
                                       to_string(b.shape)));
  }
  return state_->node("Gemm", {a, b}, a.dtype, {a.shape[0], b.shape[0]}, {{"transB", 1}});
}

Value GraphBuilder::softmax(const Value& x) {
  if (!is_floating(x.dtype)) state_->refuse("Softmax", "operand is not floating");
  return state_->node("Softmax", {x}, x.dtype, x.shape, {{"axis", -1}});
}

Value GraphBuilder::reduce_mean(const Value& x) {
  if (!is_floating(x.dtype) || x.shape.empty())
    state_->refuse("ReduceMean", "operand is not a floating tensor");
  SymbolicShape shape = x.shape;
  shape.back() = Dim(1);
  return state_->node("ReduceMean", {x}, x.dtype, std::move(shape),
                      {{"axes", std::vector<std::int64_t>{-1}}, {"keepdims", 1}});
}

Value GraphBuilder::cumsum_exclusive(const Value& x, std::int64_t axis) {
  (void)state_->axis_of("CumSum", x, axis);
  return state_->node("CumSum", {x, scalar(axis)}, x.dtype, x.shape, {{"exclusive", 1}});
}

Value GraphBuilder::reshape(const Value& x, const SymbolicShape& shape) {
  if (product(x.shape) != product(shape)) {
    state_->refuse("Reshape", fmt::format("{} has the shape {}, which does not hold {}", x.name,
                                          to_string(x.shape), to_string(shape)));
  }
  // Symbolic dimensions become 0 (the same as x's at this place) or, once, -1 (whatever is left).
  std::vector<std::int64_t> target;
  bool inferred = false;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i].is_fixed()) {
      target.push_back(shape[i].value());
    } else if (i < x.shape.size() && shape[i] == x.shape[i]) {
      target.push_back(0);
    } else if (!inferred) {
      inferred = true;
      target.push_back(-1);
    } else {
      state_->refuse("Reshape", fmt::format("from {} to {}: more than one symbol moves; use reshape_like",
                                            to_string(x.shape), to_string(shape)));
    }
  }
  return state_->node("Reshape", {x, constant(list_name("shape", target), integers(target))}, x.dtype, shape);
}

Value GraphBuilder::reshape_like(const Value& x, const Value& like, const SymbolicShape& shape) {
  std::size_t leading = 0;
  while (leading < shape.size() && leading < like.shape.size() && shape[leading] == like.shape[leading])
    ++leading;
  std::vector<std::int64_t> fixed;
  for (std::size_t i = leading; i < shape.size(); ++i) {
    if (!shape[i].is_fixed()) {
      state_->refuse("Reshape",
                     fmt::format("{} is not a leading dimension of {}", shape[i].text(), like.name));
    }
    fixed.push_back(shape[i].value());
  }
  if (product(x.shape) != product(shape) || leading == 0 || fixed.empty()) {
    state_->refuse("Reshape",
                   fmt::format("from {} to {} like {}", to_string(x.shape), to_string(shape), like.name));
  }
  const Value sizes = state_->node("Shape", {like}, DType::i64, {static_cast<std::int64_t>(leading)},
                                   {{"start", 0}, {"end", static_cast<std::int64_t>(leading)}});
  const Value target = concat({sizes, constant(list_name("shape", fixed), integers(fixed))}, 0);
  return state_->node("Reshape", {x, target}, x.dtype, shape);
}

Value GraphBuilder::transpose(const Value& x, const std::vector<std::int64_t>& permutation) {
  std::vector<std::int64_t> sorted = permutation;
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::int64_t> identity(x.shape.size());
  std::iota(identity.begin(), identity.end(), 0);
  if (sorted != identity) {
    state_->refuse("Transpose", fmt::format("{} is no permutation of the axes of {}", to_string(permutation),
                                            to_string(x.shape)));
  }
  SymbolicShape shape;
  for (const std::int64_t axis : permutation) shape.push_back(x.shape[static_cast<std::size_t>(axis)]);
  return state_->node("Transpose", {x}, x.dtype, std::move(shape), {{"perm", permutation}});
}

Value GraphBuilder::unsqueeze(const Value& x, const std::vector<std::int64_t>& axes) {
  SymbolicShape shape = x.shape;
  for (const std::int64_t axis : axes) {  // ascending, in the result's numbering
    if (axis < 0 || axis > static_cast<std::int64_t>(shape.size())) {
      state_->refuse("Unsqueeze", fmt::format("axis {} for {}", axis, to_string(x.shape)));
    }
    shape.insert(shape.begin() + axis, Dim(1));
  }
  return state_->node("Unsqueeze", {x, constant(list_name("axes", axes), integers(axes))}, x.dtype,
                      std::move(shape));
}

Value GraphBuilder::concat(const std::vector<Value>& parts, std::int64_t axis) {
  if (parts.empty()) state_->refuse("Concat", "nothing to join");
  const std::size_t at = state_->axis_of("Concat", parts.front(), axis);
  SymbolicShape shape = parts.front().shape;
  std::int64_t total = 0;
  for (const Value& part : parts) {
    state_->same_dtype("Concat", parts.front(), part);
    bool fits = part.shape.size() == shape.size();
    for (std::size_t i = 0; fits && i < shape.size(); ++i) fits = i == at || part.shape[i] == shape[i];
    if (!fits) {
      state_->refuse("Concat",
                     fmt::format("{} and {} along axis {}", to_string(shape), to_string(part.shape), axis));
    }
    total += part.shape[at].value();
  }
  shape[at] = Dim(total);
  return state_->node("Concat", parts, parts.front().dtype, std::move(shape),
                      {{"axis", static_cast<std::int64_t>(at)}});
}

std::vector<Value> GraphBuilder::split(const Value& x, const std::vector<std::int64_t>& sizes,
                                       std::int64_t axis) {
  const std::size_t at = state_->axis_of("Split", x, axis);
  if (std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0}) != x.shape[at].value()) {
    state_->refuse("Split",
                   fmt::format("{} into {} along axis {}", to_string(x.shape), to_string(sizes), axis));
  }
  NodeSpec node{"Split"};
  node.operands = {x, constant(list_name("sizes", sizes), integers(sizes))};
  node.attributes = {{"axis", static_cast<std::int64_t>(at)}};
  for (const std::int64_t size : sizes) {
    SymbolicShape shape = x.shape;
    shape[at] = Dim(size);
    node.results.push_back(NodeSpec::Result{x.dtype, std::move(shape)});
  }
  return state_->node(node);
}

Value GraphBuilder::gather_rows(const Value& x, const Value& indices) {
  if (x.shape.empty() || (indices.dtype != DType::i64 && indices.dtype != DType::i32)) {
    state_->refuse("Gather",
                   fmt::format("rows of {} by {} indices", to_string(x.shape), name(indices.dtype)));
  }
  SymbolicShape shape = indices.shape;
  shape.insert(shape.end(), x.shape.begin() + 1, x.shape.end());
  return state_->node("Gather", {x, indices}, x.dtype, std::move(shape), {{"axis", 0}});
}

Value GraphBuilder::range_of_axis(const Value& x, std::int64_t axis) {
  const std::size_t at = state_->axis_of("Range", x, axis);
  const auto a = static_cast<std::int64_t>(at);
  const Value size = state_->node("Shape", {x}, DType::i64, {1}, {{"start", a}, {"end", a + 1}});
  const Value scalar_size = state_->node("Squeeze", {size}, DType::i64, {});
  return state_->node("Range", {scalar(std::int64_t{0}), scalar_size, scalar(std::int64_t{1})}, DType::i64,
                      {x.shape[at]});
}

}  // namespace qvl
