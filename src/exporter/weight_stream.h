// Streams a checkpoint's weights into the external data file of a graph.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "exporter/stream_plan.h"
#include "folder/tensor_report.h"
#include "onnx/onnx_model.h"
#include "qvl/progress.h"

namespace qvl {

// The data file as it was written.
struct WrittenData {
  std::vector<TensorReport> tensors;  // in the order of the file
  std::string sha256;                 // of the bytes handed to the disk, taken on their way there
};

struct WeightStreamOptions {
  int threads = 0;               // see worker_count
  Progress* progress = nullptr;  // advanced by bytes written, copies too; begin and end are the caller's
  const CancelToken* cancel = nullptr;
  StreamLimits limits = {};
  // Other places that get the same bytes, each as a file of its own: nothing is read or converted twice.
  std::vector<std::filesystem::path> copies = {};
};

// What write_external_data holds for a plan: its slots, and the buffers of its threads.
[[nodiscard]] std::uint64_t stream_buffer_bytes(const StreamPlan& plan, int wanted_threads);

// The tensors of a checkpoint that matches the model's table.
[[nodiscard]] SourceLookup source_lookup(const Checkpoint& checkpoint);

// Writes every external tensor of `model` to `place`, transposed and converted in pieces by a few threads
// that share the work on each tensor; `tensors` are the model's planned_tensors(). Resident at a time is
// stream_buffer_bytes, whatever the model's size. Throws as OutputFile does, and Interrupted.
WrittenData write_external_data(const OnnxModel& model, const Checkpoint& checkpoint,
                                std::vector<TensorReport> tensors, const std::filesystem::path& place,
                                const WeightStreamOptions& options);

}  // namespace qvl
