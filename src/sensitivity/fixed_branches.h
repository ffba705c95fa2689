// Which If nodes take the same branch in all samples.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "onnx/branches.h"
#include "sensitivity/values.h"

namespace qvl {

// The If nodes of the model whose condition is the same in all samples, nested ones behind those around them.
// A condition that the numbers of a unit, or random draws, decide counts as open: quantization, or chance,
// may change it. `inputs` gives the inputs of a sample. Throws as Session does.
[[nodiscard]] std::vector<FixedBranch> branches_fixed_by(const std::filesystem::path& model,
                                                         std::size_t samples,
                                                         const std::function<Values(std::size_t)>& inputs);

}  // namespace qvl
