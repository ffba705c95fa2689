// An encoder whose layers all have the same weights, as ALBERT's: one error comes back in every layer.
#pragma once

#include "support/hand_made_model.h"
#include "support/model_run.h"

namespace qvl::test {

struct SharedEncoder {
  static constexpr int kLayers = 10;
  static constexpr int kUnits = 6 * kLayers + 1;

  HandMadeModel model;
  std::vector<Tensors> samples;
};

// x [batch, 12, 32] through 10 layers of attention with 2 heads and a feed-forward block, each behind a
// LayerNormalization, to features [batch, 12, 8]: 61 units with 7 weights. Some inputs and weights are far
// larger than the others, so that units differ by orders of magnitude.
SharedEncoder shared_encoder(int samples);

}  // namespace qvl::test
