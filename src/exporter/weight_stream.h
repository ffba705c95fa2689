// Streams a checkpoint's weights into the external data file of a graph.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "core/convert.h"
#include "onnx/onnx_model.h"
#include "qvl/progress.h"
#include "qwen25vl/tensor_table.h"

namespace qvl {

// What became of one tensor.
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
};

struct WeightStreamOptions {
  int threads = 0;               // 0: one per processor; at most 8 work
  Progress* progress = nullptr;  // advanced by bytes written; begin and end are the caller's
  const CancelToken* cancel = nullptr;
};

// Writes every external tensor of `model` to `place`, converted and transposed in blocks by a few threads;
// reports come in the order of the file. A few blocks per thread are all that is resident. Throws as
// OutputFile does, and Interrupted.
std::vector<TensorReport> write_external_data(const OnnxModel& model, const Checkpoint& checkpoint,
                                              const TensorTable& table, const std::filesystem::path& place,
                                              const WeightStreamOptions& options);

}  // namespace qvl
