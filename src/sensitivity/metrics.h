// How far an experiment's tensors are from the unquantized ones, as sums that add up over samples.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "qvl/sensitivity.h"
#include "replay/answer_rows.h"

namespace qvl {

// Squared norms: of the difference, of the unquantized tensor, of the quantized one, and the two's product.
struct LocalSums {
  double difference = 0;
  double plain = 0;
  double quantized = 0;
  double product = 0;
  double picture_difference = 0;
  double picture_plain = 0;
  double text_difference = 0;
  double text_plain = 0;

  static constexpr std::size_t kNumbers = 8;
  [[nodiscard]] std::array<double, kNumbers> numbers() const;
  static LocalSums of(std::span<const double> numbers);
  LocalSums& operator+=(const LocalSums& other);
  // Throws nothing; where nothing was there the errors are 0.
  [[nodiscard]] LocalError error() const;
};

// f32 tensors. `rows` tells the kind of each row of the last axis, or is empty; it is not used where the
// number of rows is another. Of tensors of different shapes nothing is alike: the squared norm of the
// difference is the sum of both norms.
[[nodiscard]] LocalSums local_sums(const TensorView& plain, const TensorView& quantized,
                                   std::span<const RowKind> rows);

// The model's outputs for one sample.
struct OutputSums {
  // Of an output beside the one that is ranked by. `elements` below 0: its shape has changed.
  struct Other {
    double squared_error = 0;
    double elements = 0;
  };

  double squared_error = 0;
  double elements = 0;
  double exact = -1;         // 1: the answer's tokens are all the most likely ones; 0: not; -1: no answer
  std::vector<double> kl;    // nats, one a position
  std::vector<double> same;  // 1 where the most likely token is the same
  std::vector<Other> others = {};

  [[nodiscard]] std::vector<double> numbers() const;
  static OutputSums of(std::span<const double> numbers);
};

// f32 tensors of one shape. `answer` null: no logits.
[[nodiscard]] OutputSums output_sums(const TensorView& plain, const TensorView& quantized,
                                     const AnswerRows* answer);

// Of another output: f32 tensors, in which equal infinities and two NaN are no error.
[[nodiscard]] OutputSums::Other other_sums(const TensorView& plain, const TensorView& quantized);

// Over samples: mse over all elements; kl, its standard error, median and 99th percentile over all positions.
// `others` are the names of the outputs in OutputSums::others.
[[nodiscard]] OutputError output_error(std::span<const OutputSums> samples,
                                       std::span<const std::string> others = {});

// Whether all numbers of an f32 tensor are finite.
[[nodiscard]] bool all_finite(const TensorView& tensor);

}  // namespace qvl
