// Constants of every kind as initializers.
#pragma once

#include <string>

namespace onnx {
class ModelProto;
}

namespace qvl {

// Makes initializers of the graph's Constant nodes that hold a tensor, under the names of what they give, and
// of its sparse initializers, zeros put in. Sub-graphs stay as they are. Throws InputError, naming `source`,
// for sparse ones whose numbers lie in another file, do not fit their shape, or would take more than 512 MiB.
void make_plain_initializers(onnx::ModelProto& model, const std::string& source);

}  // namespace qvl
