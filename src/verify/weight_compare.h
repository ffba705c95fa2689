// Compares the tensors of a data file with what they were made from, bit for bit. Written apart from
// exporter/weight_stream and exporter/transpose, which made the file: it walks the checkpoint's rows, where
// those walk its columns, and converts on the scalar path.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "core/tensor.h"
#include "exporter/weight_stream.h"
#include "verify/check_list.h"

namespace qvl {

// One tensor. `report` is what the manifest says of it.
struct WeightTask {
  const TensorReport* report = nullptr;
  const Tensor* constant = nullptr;  // what it must be when qvl computed it; null: the checkpoint's tensor
  const TensorRow* row = nullptr;    // of the checkpoint's tensor
};

struct WeightCompareOptions {
  int threads = 2;
  bool stop_at_first = false;  // difference; what is left is not compared
  const CancelToken* cancel = nullptr;
  SharedProgress* progress = nullptr;  // advanced by the data file's bytes
};

struct WeightComparison {
  std::uint64_t tensors = 0;  // compared
  std::uint64_t bytes = 0;    // of the data file, compared
  // A line a tensor that is not what it must be, by name: the first element in which it differs, both values,
  // and how many do; or what the manifest says wrong of it (source, dtype, shape, statistics of the
  // conversion).
  std::vector<std::string> problems;
};

// Every task's tensor must lie in the file (graph_checks.h). At most 50 MB a thread are resident.
// `checkpoint` may be null when all tasks are constants. Throws InputError where a file has become shorter,
// MachineError where one cannot be read, Interrupted.
[[nodiscard]] WeightComparison compare_weights(const std::filesystem::path& data_file,
                                               std::span<const WeightTask> tasks,
                                               const Checkpoint* checkpoint,
                                               const WeightCompareOptions& options);

}  // namespace qvl
