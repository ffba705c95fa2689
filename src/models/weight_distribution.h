// How large the random weights of a tensor are that `qvl synth` makes.
#pragma once

namespace qvl {

struct WeightDistribution {
  float mean = 0.0F;
  float deviation = 0.0F;

  friend bool operator==(const WeightDistribution&, const WeightDistribution&) = default;
};

}  // namespace qvl
