// Which If nodes take the same branch in all samples.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "onnx/rewrite/branches.h"
#include "replay/values.h"

namespace qvl {

// The If nodes of the model whose condition is the same in all samples, nested ones behind those around them.
// A condition that the numbers of a unit, or random draws, decide counts as open: quantization, or chance,
// may change it. `samples`: the inputs of each. Throws as Session does.
[[nodiscard]] std::vector<FixedBranch> branches_fixed_by(const std::filesystem::path& model,
                                                         std::span<const Values> samples);

}  // namespace qvl
