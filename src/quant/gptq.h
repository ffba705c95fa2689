// GPTQ: weights rounded one input at a time, the error of each carried over to those that follow.
// Source: Frantar, Ashkboos, Hoefler, Alistarh: "GPTQ: Accurate Post-Training Quantization for Generative
// Pre-trained Transformers", 2022.
#pragma once

#include <cstdint>
#include <span>

#include "quant/hessian.h"
#include "quant/quantized_weights.h"

namespace qvl {

struct GptqOptions {
  double damping = 0.01;  // added to the diagonal, as a part of its mean over inputs that were not always 0
  bool largest_first = true;  // inputs in the order of falling diagonal; false: in their own order
  bool least_squares = true;  // scales of quantize_least_squares(), see below; false: of quantize_weights()
  std::int64_t panel = 128;   // inputs whose errors are carried over together; decides about speed only (and
                              // rounding)
};

// As quantize_weights(), with the levels chosen so that the squared error of the output, on the inputs that
// the Hessian has seen, is small. layout.matrices must be 1. Inputs that were always zero keep their rounded
// weights. Where the damped Hessian is not positive definite (as far as f32 can tell) the damping grows
// tenfold, to 1e-4 at least, until it is.
//
// What the paper does with a Cholesky factor of the inverse Hessian is done with a factor of the Hessian
// itself, which is the same arithmetic without an inverse: with H = R R^T over the inputs in the order of
// visits, R upper triangular, the weight of input k is rounded after the sum over j < k of
// R[j][k] / R[k][k] x (weight - value)[j] was added to it.
//
// The scales are found from the weights as they are, before anything is carried over, so that every block has
// its scale in whatever order its inputs are visited. The importance of input k for them is R[k][k]^2: what
// its rounding error costs when those after it have made up for as much as they can. docs/quantize.md has the
// figures: falling order with these scales was best, or within 3 % of it, in every case that was tried;
// scales found anew for each block as it is reached, and mean squares as importance, were not.
//
// Takes, beside the Hessian and the result, 4 (depth^2 + depth x rows) bytes and a little: 0.6 GB for a depth
// of 11008 and 2048 rows, 4.5 GB for 29568 and 8192. The same result for every number of threads; over isas
// sums differ by the rounding, and so a level may where two are nearly as good. Throws as quantize_weights()
// does; UsageError for more matrices, another depth and impossible options; InputError for a Hessian that
// overflowed.
[[nodiscard]] QuantizedWeights quantize_gptq(const WeightLayout& layout, const Format& format,
                                             std::span<const float> in, const Hessian& hessian,
                                             const GptqOptions& options = {}, Isa isa = best_isa(),
                                             int threads = 0);

}  // namespace qvl
