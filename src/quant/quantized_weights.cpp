#include "quant/quantized_weights.h"

#include <fmt/format.h>

#include "quant/weight_kernels.h"
#include "qvl/error.h"

namespace qvl {

QuantizedWeights quantize_weights(const WeightLayout& layout, const Format& format, std::span<const float> in,
                                  Isa isa, int threads) {
  check(format);
  const std::size_t elements = layout.elements();
  if (in.size() != elements) {
    throw UsageError(fmt::format("{} weights to quantize; the layout has {}", in.size(), elements));
  }
  QuantizedWeights result{layout, format, {}, {}};
  if (elements == 0) return result;
  result.levels.resize(elements);
  result.scales.resize(static_cast<std::size_t>(layout.matrices * layout.rows * format.blocks(layout.depth)));
  run_weight_kernels({layout, format, in.data(), nullptr, result.levels.data(), result.scales.data()}, isa,
                     threads);
  return result;
}

void QuantizedWeights::dequantize(std::span<float> out) const {
  if (out.size() != levels.size()) {
    throw UsageError(fmt::format("{} weights to dequantize into a space for {}", levels.size(), out.size()));
  }
  if (levels.empty()) return;
  const std::int64_t block = format.block == 0 ? layout.depth : format.block;
  const std::int64_t blocks = format.blocks(layout.depth);
  const bool contiguous = layout.axis == DepthAxis::contiguous;
  const std::int64_t lines = layout.matrices * (contiguous ? layout.rows : layout.depth);
  const std::int64_t length = contiguous ? layout.depth : layout.rows;
  for (std::int64_t line = 0; line < lines; ++line) {
    for (std::int64_t i = 0; i < length; ++i) {
      const std::int64_t scale =
          contiguous ? line * blocks + i / block
                     : (line / layout.depth * layout.rows + i) * blocks + line % layout.depth / block;
      const auto at = static_cast<std::size_t>(line * length + i);
      out[at] = static_cast<float>(levels[at]) * scales[static_cast<std::size_t>(scale)];
    }
  }
}

}  // namespace qvl
