#include "quant/gptq_panel.h"

#include "quant/loop_hint.h"
#include "quant/weight_rule.h"

namespace qvl {
namespace {

template <class Rule>
QVL_ALWAYS_INLINE void round_line(const GptqPanel& panel, std::int64_t input) {
  const float* weights = panel.weights + input * panel.channels;
  const float* scales = panel.scales[input];
  const float* carried = panel.carried + input * panel.line_stride;
  float* errors = panel.errors + input * panel.line_stride;
  std::int8_t* levels = panel.levels + input * panel.channels;
  QVL_SAME_ELEMENT_ONLY
  for (std::int64_t n = 0; n < panel.channels; ++n) {
    const std::int32_t level = weight_rule::far_level<Rule>(weights[n] + carried[n], scales[n]);
    errors[n] = weights[n] - static_cast<float>(level) * scales[n];
    levels[n] = static_cast<std::int8_t>(level);
  }
}

template <class Rule>
QVL_ALWAYS_INLINE void round_lines(const GptqPanel& panel) {
  for (std::int64_t input = panel.inputs - 1; input >= 0; --input) {
    round_line<Rule>(panel, input);
    const float* errors = panel.errors + input * panel.line_stride;
    for (std::int64_t before = 0; before < input; ++before) {
      const float factor = panel.factors[input * panel.factor_stride + before];
      float* carried = panel.carried + before * panel.line_stride;
      QVL_SAME_ELEMENT_ONLY
      for (std::int64_t n = 0; n < panel.channels; ++n) carried[n] += factor * errors[n];
    }
  }
}

QVL_ALWAYS_INLINE void round_any(const GptqPanel& panel) {
  if (panel.format->block == 0) return round_lines<weight_rule::Symmetric>(panel);
  if (panel.format->bits == 8) return round_lines<weight_rule::Middle<128>>(panel);
  return round_lines<weight_rule::Middle<8>>(panel);
}

void round_scalar(const GptqPanel& panel) { round_any(panel); }
#if QVL_X86
QVL_TARGET_AVX2 void round_avx2(const GptqPanel& panel) { round_any(panel); }
QVL_TARGET_AVX512 void round_avx512(const GptqPanel& panel) { round_any(panel); }
#endif

}  // namespace

void round_panel(const GptqPanel& panel, Isa isa) {
#if QVL_X86
  if (isa == Isa::avx512) return round_avx512(panel);
  if (isa == Isa::avx2) return round_avx2(panel);
#endif
  (void)isa;
  round_scalar(panel);
}

}  // namespace qvl
