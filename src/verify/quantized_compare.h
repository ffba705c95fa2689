// Compares quantized weights with the checkpoint's.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "folder/manifest.h"
#include "models/tensor_table.h"
#include "verify/weight_compare.h"

namespace qvl {

// The stored numbers of one weight.
struct QuantizedTask {
  const TensorReport* levels = nullptr;
  const TensorReport* scales = nullptr;
  bool table = false;  // of embeddings, in blocks
  bool smoothed = false;
  const TensorRow* row = nullptr;  // of the checkpoint's model
  DType artifact = DType::f32;     // in which the export has the weight that was rounded
};

// Those that an artifact has of a row; none where it is not quantized. Throws InputError where parts are
// missing.
[[nodiscard]] std::vector<QuantizedTask> quantized_tasks(const ManifestArtifact& artifact,
                                                         const TensorRow& row, DType artifact_dtype);

// Rounded to nearest, without smoothing: the integers and scales are those that the checkpoint's weight
// gives, bit for bit. Otherwise: the error of the stored weight is the one in the manifest (least-squares,
// gptq), to 2 %; smoothed ones are only looked at for being there. Throws as compare_weights does.
[[nodiscard]] WeightComparison compare_quantized(const std::filesystem::path& data_file,
                                                 std::span<const QuantizedTask> tasks,
                                                 const Checkpoint& checkpoint,
                                                 const WeightCompareOptions& options);

}  // namespace qvl
