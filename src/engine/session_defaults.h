// How the engine loads models.
#pragma once

#include <cstdint>

#include "runtime/session_options.h"

namespace qvl {

// prepared: ONNX Runtime makes its own copy of the weights, in f32 and in the order of its kernels; loading
// takes longest, every run is fastest. mapped: the CPU provider reads them where they lie in the data file,
// whose pages the system can drop; f16 ones are widened, quantized ones unpacked in every run.
// docs/performance.md has the figures.
enum class Weights { prepared, mapped };

// prepared where this machine has the memory for copies of weights that take so many bytes in f32.
[[nodiscard]] Weights weights_that_fit(std::uint64_t f32_weights_bytes);

// `threads` as in SessionOptions.
[[nodiscard]] inline SessionOptions engine_session_options(Provider provider, int threads,
                                                           Weights weights = Weights::prepared) {
  SessionOptions options;
  options.provider = provider;
  options.threads = threads;
  options.memory_pattern = false;  // the sequence grows with every step
  if (weights == Weights::mapped) {
    options.config.emplace_back("session.disable_prepacking", "1");
    options.config.emplace_back("optimization.disable_specified_optimizers",
                                "ConstantFolding;FuseFp16InitializerToFp32NodeTransformer");
  }
  return options;
}

}  // namespace qvl
