// The inner loop of quantize_gptq(): the inputs of a panel are rounded one after the other. Internal to this
// layer.
#pragma once

#include <cstdint>

#include "core/isa.h"
#include "quant/format.h"

namespace qvl {

// A panel of inputs for some output channels, which stand side by side in each line. Inputs are visited from
// the last to the first.
struct GptqPanel {
  const Format* format = nullptr;
  std::int64_t inputs = 0;
  std::int64_t channels = 0;
  const float* weights = nullptr;        // [inputs][channels]
  const float* const* scales = nullptr;  // of each input, [channels]
  const float* factors = nullptr;  // [inputs][inputs], lines factor_stride apart: what of the error of an
  std::int64_t factor_stride = 0;  // input (the line) goes to each before it
  float* carried = nullptr;        // in, out: [inputs][channels], lines line_stride apart
  float* errors = nullptr;         // out: weight - value, as `carried`
  std::int64_t line_stride = 0;
  std::int8_t* levels = nullptr;  // out: [inputs][channels]
};

// The same to the bit for every isa.
void round_panel(const GptqPanel& panel, Isa isa);

}  // namespace qvl
