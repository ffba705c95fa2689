// The inner loops of fake_quantize() and quantize_weights().
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/isa.h"
#include "quant/format.h"
#include "quant/weight_layout.h"

namespace qvl {

// All addresses are those of whole weights. Either `out` (values, may be `in`) or `levels` and `scales` are
// written, the others are null.
struct WeightWork {
  WeightLayout layout;
  Format format;
  const float* in = nullptr;
  float* out = nullptr;
  std::int8_t* levels = nullptr;  // as the weight lies
  float* scales = nullptr;        // [matrices, rows, blocks]
};

// Does it all on `threads` threads (as worker_count() takes them). Throws InputError naming the first weight,
// in the order of memory, that is NaN or infinite.
void run_weight_kernels(const WeightWork& work, Isa isa, int threads);

}  // namespace qvl
