// The operator Rotary of the domain qvl: kernels/rotary.h as a node. Internal to this layer.
#pragma once

#include <onnxruntime_c_api.h>

namespace qvl {

// Operands and attributes: runtime/own_operators.h.
[[nodiscard]] OrtCustomOp rotary_operator();

}  // namespace qvl
