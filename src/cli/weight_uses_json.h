// Weights of no unit, as commands print them.
#pragma once

#include <span>
#include <string>

#include "qvl/quantize.h"

namespace qvl::cli {

// JSON: [{"what", "nodes", "bytes"}].
[[nodiscard]] std::string kept_json(std::span<const KeptWeights> weights);

}  // namespace qvl::cli
