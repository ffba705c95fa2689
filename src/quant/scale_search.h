// Scales of least squared error.
#pragma once

#include <span>

#include "quant/quantized_weights.h"

namespace qvl {

// As quantize_weights(), but the scale of each block (or output channel) is the one, of a fixed grid of
// candidates each refined by the closed-form least-squares scale for its levels, with the least sum of
// importance x squared error; never worse than the rule's own scale. `importance`: [layout.depth], not
// negative (mean squares of the activations that meet the weights), or empty: all 1. The sign convention,
// zero points and limits of the levels are the format's. The result is the same for every isa and number of
// threads. Throws as quantize_weights() does.
[[nodiscard]] QuantizedWeights quantize_least_squares(const WeightLayout& layout, const Format& format,
                                                      std::span<const float> in,
                                                      std::span<const float> importance = {},
                                                      Isa isa = best_isa(), int threads = 0);

}  // namespace qvl
