// Where a slice computes an attention step by step. Internal to this layer.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "onnx/read/slice_view.h"

namespace qvl {

// softmax(q k scale + mask) v
struct AttentionFusion {
  std::string q;
  std::string k_transposed;
  std::string v;
  std::string mask;  // "": none
  float scale = 1.0F;
  bool zero_for_nan = false;          // weights that are NaN count as 0
  std::size_t last = 0;               // the node that gives the result
  std::vector<std::size_t> absorbed;  // the others
};

// MatMul, then perhaps Mul or Div by a constant number, then perhaps Add, then Softmax over the last axis,
// then MatMul; casts to f32 between them do nothing in a graph that has been widened to it. Found only where
// no value between them is taken by anything else or asked for, where the scores are known to be f32, and
// where the axis is known to be the last: not from a positive one when the graph does not tell the rank.
[[nodiscard]] std::vector<AttentionFusion> find_attentions(const SliceView& view);

}  // namespace qvl
