// Writes the data file of a QuantizedGraph: weights are read, rounded, packed and written in panels of output
// channels.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "core/output_file.h"
#include "exporter/weight_source.h"
#include "onnx/rewrite/quantized_graph.h"
#include "quant/quant_plan.h"
#include "quant/quantization_error.h"
#include "quant/quantized_weights.h"
#include "qvl/progress.h"

namespace qvl {

// How the numbers of a unit (or table) are made. In the order of the graph's nodes, then its tables.
struct QuantizedUnit {
  std::string name;  // for messages
  WeightLayout layout;
  Format format;
  WeightAlgorithm algorithm = WeightAlgorithm::nearest;
  std::vector<float> importance;  // [depth], of least_squares; may be empty
  std::vector<float>
      smoothing;  // [depth]: the weight is multiplied by it, the operand by its reciprocal; or empty
};

struct QuantizedDataOptions {
  int threads = 0;               // see worker_count
  Progress* progress = nullptr;  // advanced by bytes written; begin and end are the caller's
  const CancelToken* cancel = nullptr;
};

// The data file as it was written.
struct WrittenQuantizedData {
  std::vector<QuantizationError> errors;  // by unit
  std::string sha256;
};

class QuantizedData {
 public:
  // Weights of a panel: what a thread holds is about 9 bytes each, or one output channel where that is
  // longer.
  static constexpr std::int64_t kPanelWeights = std::int64_t{1} << 22U;

  // What finish() holds at most, on so many threads (see worker_count).
  [[nodiscard]] static std::uint64_t buffer_bytes(const QuantizedGraph& graph,
                                                  std::span<const QuantizedUnit> units, int threads);

  // Takes the space on the disk. All must outlive it. Throws as OutputFile does.
  QuantizedData(const QuantizedGraph& graph, std::span<const QuantizedUnit> units, const WeightSource& source,
                const std::filesystem::path& place, const QuantizedDataOptions& options);

  // The numbers of a unit that were made elsewhere (gptq); plain: the (smoothed) weight itself, as it lies.
  void put(std::size_t unit, const QuantizedWeights& weights, std::span<const float> plain);
  // All that was not put, on some threads; then the file appears at its place. Throws InputError for weights
  // that are not finite, MachineError, Interrupted.
  WrittenQuantizedData finish();

 private:
  // Some output channels of a unit's matrix, or some rows of a piece that is copied.
  struct Task {
    std::size_t unit = 0;
    const QuantizedPiece* copied = nullptr;  // null: a panel
    std::int64_t matrix = 0;
    std::int64_t first = 0;
    std::int64_t count = 0;
  };
  // The pieces of a unit; null where another unit's are shared, or there is none.
  struct Pieces {
    const QuantizedPiece* levels = nullptr;
    const QuantizedPiece* scales = nullptr;
    const QuantizedPiece* smoothing = nullptr;
  };

  [[nodiscard]] std::vector<Task> tasks() const;
  void copy(const Task& task);
  QuantizationError make_panel(const Task& task);
  QuantizationError write_panel(const Task& task, const QuantizedWeights& weights,
                                std::span<const float> plain);
  void write_blocks(const Task& task, const Pieces& pieces, QuantizedWeights weights);
  void write_levels(const Task& task, const Pieces& pieces, const QuantizedWeights& weights);
  void write_scales(const QuantizedPiece& piece, std::uint64_t first, std::span<const float> scales);
  void write_smoothing(std::size_t unit);
  void write(std::uint64_t offset_bytes, std::span<const std::byte> bytes);

  const QuantizedGraph& graph_;
  std::span<const QuantizedUnit> units_;
  const WeightSource& source_;
  std::filesystem::path place_;
  QuantizedDataOptions options_;
  OutputFile file_;
  std::vector<Pieces> pieces_;
  std::vector<bool> put_;
  std::mutex mutex_;                       // of progress
  std::vector<QuantizationError> errors_;  // by unit
};

}  // namespace qvl
