// Under which key a number lies in the store.
#pragma once

#include <string>
#include <vector>

#include "quant/format.h"
#include "sensitivity/measurement_store.h"

namespace qvl {

// What numbers of some formats depend on beside model, sample and unit.
struct MeasurementKeys {
  std::string calibration;  // of formats with ranges from calibration: how, and a hash of its samples
  std::string unit_set;     // of numbers for which several units are quantized: a hash of their names
  bool fused_attention = false;
  std::string outputs = {};  // of models with several: which are compared

  // kind: "unit" (LocalSums at the unit's output), "block" (LocalSums at the end of its segment), "in" and
  // "out" (OutputSums), "variance" (of the unit's input; no format), "weight" (mean squared error; no
  // sample).
  [[nodiscard]] MeasurementKey of(const std::string& sample_sha256, const std::string& unit,
                                  const Format& format, const std::string& kind) const;
  // The whole model quantized: OutputSums.
  [[nodiscard]] MeasurementKey of_whole(const std::string& sample_sha256, const Format& format) const;
  // The unquantized model's own: OutputSums against itself, and answers that it gave.
  [[nodiscard]] MeasurementKey of_plain(const std::string& sample_sha256, const std::string& kind) const;
};

}  // namespace qvl
