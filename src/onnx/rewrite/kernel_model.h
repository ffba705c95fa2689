// Models of one quantizable op, to find out how long its kernels take.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "onnx/rewrite/quantized_graph.h"

namespace qvl {

struct KernelSpec {
  bool conv = false;          // a 1x1 Conv over `depth` channels; else a MatMul
  std::int64_t matrices = 1;  // stacked, of a MatMul
  std::int64_t depth = 0;
  std::int64_t rows = 0;         // output channels
  std::int64_t activations = 0;  // rows of the other operand
  // What becomes of it, by bits, group, block, activations and accuracy_level; none: it stays in f32.
  std::optional<QuantizedNode> quantized;
};

// A serialized model with the input "x" (f32 [matrices, activations, depth], of a Conv [1, depth, 1,
// activations]) and the output "y": what QuantizedGraph makes of the op. Its weights are zeros: kernels take
// as long as with others. Throws UsageError where the weight would exceed 2^28 numbers.
[[nodiscard]] std::string kernel_model(const KernelSpec& spec);

}  // namespace qvl
