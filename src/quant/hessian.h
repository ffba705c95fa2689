// What a unit's inputs have in common, gathered from calibration data.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/isa.h"

namespace qvl {

// X^T X of a unit's inputs: sums of products over all rows seen. Takes 4 depth^2 bytes: 485 MB for a depth of
// 11008, 3.5 GB for 29568.
class Hessian {
 public:
  // Throws UsageError for a depth below 1, MachineError when there is no memory for it.
  explicit Hessian(std::int64_t depth);

  // `rows`: [count, depth]. Sums of 256 rows are made in f32 before they are added to those before: the same
  // for any number of threads; over isas, and over ways to cut the rows into calls, they differ by the
  // rounding. All of the sums is read and written each time, so that a few hundred rows at once are much
  // faster than single ones. Throws InputError, and adds nothing, for values that are not finite.
  void add(std::span<const float> rows, Isa isa = best_isa(), int threads = 0);

  [[nodiscard]] std::int64_t depth() const noexcept { return depth_; }
  [[nodiscard]] std::int64_t rows_seen() const noexcept { return rows_seen_; }
  // [depth, depth], symmetric to the bit.
  [[nodiscard]] std::span<const float> sums() const noexcept { return sums_; }
  // Mean squares of the inputs, [depth]: the importance that quantize_least_squares() takes. Zeros where no
  // row was seen.
  [[nodiscard]] std::vector<float> mean_squares() const;

 private:
  std::int64_t depth_;
  std::int64_t rows_seen_ = 0;
  std::vector<float> sums_;
};

}  // namespace qvl
