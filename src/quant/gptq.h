// GPTQ: weights rounded one input at a time, the error of each carried over to those that follow.
// Source: Frantar, Ashkboos, Hoefler, Alistarh: "GPTQ: Accurate Post-Training Quantization for Generative
// Pre-trained Transformers", 2022.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "quant/quantized_weights.h"

namespace qvl {

// X^T X of a unit's inputs: sums of products over all rows seen.
class Hessian {
 public:
  explicit Hessian(std::int64_t depth);

  // `rows`: [count, depth]. Accumulates in f32 by panels, in an order that does not depend on the number of
  // threads. Throws InputError for values that are not finite.
  void add(std::span<const float> rows, Isa isa = best_isa(), int threads = 0);

  [[nodiscard]] std::int64_t depth() const noexcept { return depth_; }
  [[nodiscard]] std::int64_t rows_seen() const noexcept { return rows_seen_; }
  // [depth, depth], symmetric.
  [[nodiscard]] std::span<const float> sums() const noexcept { return sums_; }

 private:
  std::int64_t depth_;
  std::int64_t rows_seen_ = 0;
  std::vector<float> sums_;
};

struct GptqOptions {
  double damping = 0.01;  // added to the diagonal, as a part of its mean
  bool largest_first =
      true;  // inputs in the order of falling diagonal; the blocks' scales are those of the updated weights
             // of their first visited input (see the .cpp); false: in their own order
  std::int64_t panel = 128;  // inputs whose errors are carried over together
};

// As quantize_weights(), with the levels chosen so that the squared error of the output, on the inputs that
// the Hessian has seen, is small. Inputs that were always zero keep their rounded weights. Where the damped
// Hessian is not positive definite the damping grows tenfold until it is. layout.matrices must be 1. The same
// result for every number of threads. Throws as quantize_weights() does.
[[nodiscard]] QuantizedWeights quantize_gptq(const WeightLayout& layout, const Format& format,
                                             std::span<const float> in, const Hessian& hessian,
                                             const GptqOptions& options = {}, Isa isa = best_isa(),
                                             int threads = 0);

}  // namespace qvl
