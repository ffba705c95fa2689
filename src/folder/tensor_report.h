// What becomes of each tensor on its way from the checkpoint into an artifact's data file.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/convert.h"
#include "core/dtype.h"
#include "core/shape.h"
#include "models/tensor_table.h"
#include "onnx/onnx_model.h"

namespace qvl {

// Of a tensor that holds numbers of a quantized weight.
struct TensorQuantization {
  std::string role;       // "levels", "scales", "smoothing"
  std::string format;     // "int4:32"
  std::string algorithm;  // "nearest", "least-squares", "gptq"
  // Of "levels": norm of the error relative to the norm of the weight, and the largest absolute error.
  double relative_error = 0;
  double max_abs_error = 0;

  bool operator==(const TensorQuantization&) const = default;
};

struct TensorReport {
  std::string name;
  std::string source;  // its name in the checkpoint; "" for a constant computed by qvl
  DType source_dtype = DType::f32;
  DType dtype = DType::f32;
  Shape shape;  // in the graph
  Transform transform = Transform::none;
  std::uint64_t offset_bytes = 0;
  std::uint64_t size_bytes = 0;
  ConversionStats stats;
  std::optional<TensorQuantization> quantization = std::nullopt;
};

// A tensor of the checkpoint, as its files have it.
struct SourceTensor {
  std::string name;
  DType dtype = DType::f32;
};

// Where Checkpoint has the tensor that a report's was made of.
[[nodiscard]] std::string canonical_source(const TensorReport& report);

// By canonical name.
using SourceLookup = std::function<SourceTensor(std::string_view)>;

// The reports of a model's external tensors, in the order of the file, before anything is converted.
[[nodiscard]] std::vector<TensorReport> planned_tensors(const OnnxModel& model, const TensorTable& table,
                                                        const SourceLookup& source);

}  // namespace qvl
