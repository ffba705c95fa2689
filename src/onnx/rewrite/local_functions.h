// Functions that a model brings along, put where they are called.
#pragma once

#include <string>

namespace onnx {
class ModelProto;
}

namespace qvl {

// Replaces each node of the model's graph that calls one of its local functions by the function's nodes, down
// to nodes that call none, as runtimes do it: what PyTorch's exporters put into a function for each module
// then consists of ordinary nodes. Their names, and those of their values, get "CALL/" in front, CALL being
// the calling node's name or, where it has none, its first output. A call inside an If, Loop or Scan stays a
// call; functions that nothing calls any more are dropped. Throws InputError, naming `source`, for functions
// that call themselves or 64 others one in the other, calls with more operands than the function has, and
// graphs that become a thousand times longer, a million nodes long, or more than 64 MiB and the model's size
// four times over. The opset of the model counts: ONNX wants a function's own to mean the same.
void inline_local_functions(onnx::ModelProto& model, const std::string& source);

}  // namespace qvl
