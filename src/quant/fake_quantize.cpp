#include "quant/fake_quantize.h"

#include <fmt/format.h>

#include "quant/weight_kernels.h"
#include "qvl/error.h"

namespace qvl {

void fake_quantize(const WeightLayout& layout, const Format& format, std::span<const float> in,
                   std::span<float> out, Isa isa, int threads) {
  check(format);
  const std::size_t elements = layout.elements();
  if (in.size() != elements || out.size() != elements) {
    throw UsageError(fmt::format("{} weights to quantize into a space for {}; the layout has {}", in.size(),
                                 out.size(), elements));
  }
  run_weight_kernels({layout, format, in.data(), out.data(), nullptr, nullptr}, isa, threads);
}

}  // namespace qvl
