// What other tools order layers by, without running a quantized model: to compare with.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "core/tensor.h"
#include "quant/weight_layout.h"
#include "sensitivity/measurement_store.h"
#include "sensitivity/run_settings.h"

namespace qvl {

// The larger, the more sensitive.
//   weight-mse          mean squared error of the weight in the format
//   nncf-mean-variance  NNCF's MEAN_ACTIVATION_VARIANCE (mixed_precision.py: "mean variance of the layers'
//                       inputs combined with inverted 8-bit quantization noise"): the variance over rows of
//                       each input channel, averaged over channels and samples, divided by the largest mean
//                       squared error of an output channel at 8 bits, asymmetric. It does not depend on the
//                       format.
//   random              a hash of the unit's name, between 0 and 1
[[nodiscard]] double baseline_score(const RunSettings& settings, const MeasurementStore& store,
                                    const std::string& unit, const std::string& format);

// The variance over rows of each channel (element of the last axis) of an f32 tensor, averaged over channels.
[[nodiscard]] double mean_variance(const TensorView& input);

// The largest mean squared error of an output channel when it is rounded to 8 bits, its range from the least
// to the largest value (and 0) in 255 steps.
[[nodiscard]] double int8_asymmetric_noise(const WeightLayout& layout, std::span<const float> weight);

}  // namespace qvl
