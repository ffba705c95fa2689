// A tensor by its name: an input of a model, a tensor of a file. Does not own the bytes.
#pragma once

#include <string>

#include "core/tensor.h"

namespace qvl {

struct NamedTensor {
  std::string name;
  TensorView tensor;
};

}  // namespace qvl
