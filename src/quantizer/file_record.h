// What was done to a single ONNX file, as JSON beside it.
#pragma once

#include <span>
#include <string>

#include "folder/tensor_report.h"
#include "quant/quant_plan.h"

namespace qvl {

// {"qvl", "file", "plan", "tensors": [{"name", "shape", "dtype", "quantization": {"role", "format",
// "algorithm", "relative_error", "max_abs_error"}}]}; only tensors that were made.
[[nodiscard]] std::string quantization_record(const std::string& file, const QuantPlan& plan,
                                              std::span<const TensorReport> tensors);

}  // namespace qvl
