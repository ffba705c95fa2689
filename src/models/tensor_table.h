// Every tensor of a checkpoint: what it is called, what shape it has, and how it goes into a graph.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/shape.h"

namespace qvl {

class Checkpoint;

// Which graph takes the tensor.
enum class TensorPart { vision, text };

// From the checkpoint's shape to the initializer's.
enum class Transform {
  none,
  transpose,          // [out, in] -> [in, out], the right operand of a MatMul
  flatten_transpose,  // [out, a, b, …] -> [a*b*…, out]: the patch embedding's convolution as a MatMul
};

// How the graph has a tied lm_head, whose weight is the table of token embeddings.
enum class TiedHead {
  own,     // as an initializer of its own, lm_head.weight: the table transposed
  shared,  // as the table itself, stored once
};

struct TensorRow {
  std::string name;  // of the initializer; in the checkpoint (hub layout), too, but for `stored`
  TensorPart part = TensorPart::text;
  Shape shape;  // in the checkpoint
  Transform transform = Transform::none;
  bool quantizable = false;  // the weight of a MatMul or Gemm
  // The checkpoint's tensor that it is made of: `name`, or for a tied lm_head the table of token embeddings.
  std::string stored = {};

  [[nodiscard]] Shape graph_shape() const;
  // Whether the checkpoint holds it under its own name.
  [[nodiscard]] bool in_checkpoint() const { return stored == name; }
};

// A tensor of the checkpoint that is missing, misshaped, of a wrong dtype, or that nothing uses.
struct TensorProblem {
  std::string name;
  std::string text;  // "missing; [2048, 2048] is expected", …
};

class TensorTable {
 public:
  // `rows` in the order of the model, their `stored` filled in by this. `tied`: whether lm_head is the table
  // of token embeddings; `shares_head`: whether it takes that table as it lies.
  TensorTable(std::vector<TensorRow> rows, bool tied, bool shares_head);

  [[nodiscard]] bool shares_head() const noexcept { return shares_head_; }
  [[nodiscard]] std::span<const TensorRow> rows() const noexcept { return rows_; }
  // Throws UsageError when the model has no such tensor.
  [[nodiscard]] const TensorRow& row(std::string_view name) const;

  // Compares the checkpoint with the table; all problems at once, in the table's order, what is left over
  // last.
  [[nodiscard]] std::vector<TensorProblem> compare(const Checkpoint& checkpoint) const;
  // Throws one InputError listing all problems, if there are any.
  void require_match(const Checkpoint& checkpoint) const;

 private:
  std::vector<TensorRow> rows_;
  std::unordered_map<std::string, std::size_t> by_name_;
  bool tied_ = false;
  bool shares_head_ = false;
};

}  // namespace qvl
