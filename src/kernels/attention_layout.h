// How the operands of an attention lie and broadcast.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/attention.h"

namespace qvl {

// All strides in floats, 0 where the operand broadcasts.
struct AttentionLayout {
  std::size_t rows = 0;                    // S
  std::size_t keys = 0;                    // L
  std::size_t depth = 0;                   // d
  std::size_t width = 0;                   // e
  Shape lead;                              // the leading dimensions of the result
  std::vector<std::size_t> q, k, v, mask;  // along each leading dimension
  bool masked = false;
  std::size_t q_row = 0;
  std::size_t k_key = 0;
  std::size_t mask_row = 0;
  std::size_t mask_key = 0;

  // Throws InputError when the shapes do not go together.
  explicit AttentionLayout(const AttentionInputs& inputs);
  [[nodiscard]] Shape shape() const;
};

}  // namespace qvl
