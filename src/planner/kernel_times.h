// How long the kernels of units take on this machine.
#pragma once

#include <cstdint>
#include <optional>

#include "onnx/rewrite/kernel_model.h"
#include "planner/stored_size.h"
#include "qvl/progress.h"
#include "sensitivity/measurement_store.h"

namespace qvl {

// The unit in a format, as `qvl quantize` writes it, for so many rows of activations.
[[nodiscard]] KernelSpec kernel_spec(const StoredWeight& weight, const std::optional<Format>& format,
                                     std::int64_t activations);

// Each distinct op, shape and format is timed once by itself, by the median of several runs of a model of one
// node; kept in the store for this machine, number of threads and rows.
//
// What is timed is what `qvl quantize` would make of the unit, beside nothing else. A Conv is timed as a 1x1
// one over its reduction length. f16 models are computed in f32. Matrices of more than 2^26 weights are timed
// in part.
class KernelTimes {
 public:
  // The store must outlive it; `cancel` may be null.
  KernelTimes(MeasurementStore& store, std::int64_t rows, int threads, const CancelToken* cancel);

  // Milliseconds. Throws as Session does.
  [[nodiscard]] double of(const StoredWeight& weight, const std::optional<Format>& format);

 private:
  MeasurementStore& store_;
  std::int64_t rows_;
  int threads_;
  const CancelToken* cancel_;
};

}  // namespace qvl
