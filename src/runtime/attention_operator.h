// The operator Attention of the domain qvl: kernels/attention.h as a node. Internal to this layer.
#pragma once

#include <onnxruntime_c_api.h>

namespace qvl {

// Operands and attributes: runtime/own_operators.h.
[[nodiscard]] OrtCustomOp attention_operator();

}  // namespace qvl
