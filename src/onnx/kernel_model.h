// Models of one quantizable op, to find out how long its kernels take.
#pragma once

#include <cstdint>
#include <string>

namespace qvl {

enum class KernelKind {
  plain,    // the op in f32
  blocks,   // com.microsoft MatMulNBits
  dynamic,  // DynamicQuantizeLinear, MatMulInteger or ConvInteger, Cast, Mul
  fixed,    // QuantizeLinear and DequantizeLinear in front of the op
};

struct KernelSpec {
  KernelKind kind = KernelKind::plain;
  bool conv = false;          // a 1x1 Conv over `depth` channels; else a MatMul
  std::int64_t matrices = 1;  // stacked, of a MatMul
  std::int64_t depth = 0;
  std::int64_t rows = 0;         // output channels
  std::int64_t activations = 0;  // rows of the other operand
  int bits = 4;                  // of KernelKind::blocks
  std::int64_t block = 32;       // likewise
};

// A serialized model with the input "x" (f32 [matrices, activations, depth], of a Conv [1, depth, 1,
// activations]) and the output "y". Its weights are zeros: kernels take as long as with others. Throws
// UsageError where the model would exceed protobuf's 2 GiB or the kind has no such op.
[[nodiscard]] std::string kernel_model(const KernelSpec& spec);

}  // namespace qvl
