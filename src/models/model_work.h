// How much arithmetic one run of a reference artifact is.
#pragma once

namespace qvl {

// What counts: linear layers (2 x rows x elements of the weight; biases do not) and the two products of
// attention (4 x queries x keys x hidden size). What does not: norms, softmax, rotary angles, activations,
// conversions between types, all small beside it.
struct ModelWork {
  double linear_flop = 0;
  double attention_flop = 0;
  double weight_bytes = 0;  // of the linear layers, as the artifact stores them: each is read at least once

  [[nodiscard]] double flop() const noexcept { return linear_flop + attention_flop; }
};

}  // namespace qvl
