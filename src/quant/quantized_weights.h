// Weights as small integers and their scales.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/isa.h"
#include "quant/format.h"
#include "quant/weight_layout.h"

namespace qvl {

// Value = level x scale. What is stored in a model is level + format.zero_point(): signed 8 bits for int8,
// unsigned 8 or 4 bits for blocks.
struct QuantizedWeights {
  WeightLayout layout;
  Format format;
  std::vector<std::int8_t> levels;  // as the weight lies
  std::vector<float> scales;        // [matrices, rows, format.blocks(depth)], whichever way the weight lies

  // The values again: what fake_quantize() gives, to the bit. out: layout.elements().
  void dequantize(std::span<float> out) const;
};

// By the rules of quant/fake_quantize.h, and it throws as fake_quantize() does.
[[nodiscard]] QuantizedWeights quantize_weights(const WeightLayout& layout, const Format& format,
                                                std::span<const float> in, Isa isa = best_isa(),
                                                int threads = 0);

}  // namespace qvl
