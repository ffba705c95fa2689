// How many bytes the weights of units take in a model's file, as it is and quantized.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "quant/format.h"
#include "quant/weight_layout.h"
#include "replay/model_part.h"

namespace qvl {

struct StoredWeight {
  std::string op;       // MatMul, Gemm, Conv
  WeightLayout layout;  // as the unit's node takes it
};

// By which the file grows because of a unit.
struct StoredSize {
  // Something else takes the weight, too (the embedding of a tied lm_head): it stays in the file, and what
  // the unit adds is nothing when it is kept, and its whole quantized form else.
  bool shared = false;
  // An initializer that a unit before this one counts already.
  bool repeated = false;
  std::uint64_t kept_bytes = 0;                // of the initializers that the quantized file does not have
  std::vector<std::uint64_t> quantized_bytes;  // by format: integers, what fills up the last block, scales
};

// Of the part's units, in their order; of those not selected all is 0. Read from the graph that `qvl quantize`
// writes where all selected units are in one format: what several units share (in one format and one order of
// the same numbers) is counted for the first of them, which is right for every plan that gives units with the
// same weight the same format. Constants that are the same in every file (zero points), biases, nodes, and what
// fills up a page are not counted. Throws as quantize_model does for what cannot be quantized.
[[nodiscard]] std::vector<StoredSize> stored_sizes(const ModelPart& part, const std::vector<bool>& selected,
                                                   std::span<const Format> formats);

}  // namespace qvl
