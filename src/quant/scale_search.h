// Scales of least squared error.
#pragma once

#include <span>

#include "quant/quantized_weights.h"

namespace qvl {

// As quantize_weights(), but the scale of each block (or output channel) is the one, of a grid of candidates,
// with the least sum of importance x (weight - value)^2. Candidates are the rule's own scale, and
//
//   r x s   s: the rule's scale for the weights whose importance is not 0;
//           r: 1.14, 1.12, ... 0.58 for 4 bits; 1.008, 1.004, ... 0.952, then 0.92, 0.89, ... 0.71 for 8 bits
//
// each replaced by the scale that is best for the levels it gives (sum of importance x weight x level / sum
// of importance x level^2). The best is refined the same way as long as it gets better, 4 times at most. A
// level is the weight's by the format's rule for the scale found, so that the sign of a scale, the zero point
// and the limits are the format's; the sum is never above that of quantize_weights().
//
// `importance`: [layout.depth], not negative (mean squares of the activations that meet the weights), or
// empty: all 1. Sums are in f64, in the order of the inputs; the result is the same to the bit for every isa
// and number of threads. Throws as quantize_weights() does, UsageError for another number of importances,
// InputError for one that is negative or not finite.
[[nodiscard]] QuantizedWeights quantize_least_squares(const WeightLayout& layout, const Format& format,
                                                      std::span<const float> in,
                                                      std::span<const float> importance = {},
                                                      Isa isa = best_isa(), int threads = 0);

}  // namespace qvl
