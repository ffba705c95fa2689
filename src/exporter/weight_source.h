// Where the weights of a model that is to be quantized come from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "folder/tensor_report.h"
#include "onnx/onnx_model.h"
#include "onnx/read/model_graph.h"
#include "onnx/rewrite/quantized_graph.h"
#include "quant/weight_layout.h"

namespace qvl {

// The weight of a unit, or a table of embeddings.
struct SourceWeight {
  std::string value;  // an initializer, or what the node takes where `held` has it
  WeightLayout layout;
  std::shared_ptr<const std::vector<float>> held;  // of weights that other nodes compute; null: it is read
};

// May be read by several threads at once.
class WeightSource {
 public:
  virtual ~WeightSource() = default;
  // Some bytes of a piece that is copied.
  virtual void read(const QuantizedPiece& piece, std::uint64_t offset_bytes,
                    std::span<std::byte> destination) const = 0;
  // `count` output channels of a matrix, from `first` on, in f32: out has count x depth elements. Tells how
  // they lie.
  virtual DepthAxis read_rows(std::size_t weight, std::int64_t matrix, std::int64_t first, std::int64_t count,
                              std::span<float> out) const = 0;
};

// An ONNX file. All must outlive it.
class ModelWeightSource : public WeightSource {
 public:
  ModelWeightSource(const ModelGraph& graph, std::span<const SourceWeight> weights)
      : graph_(graph), weights_(weights) {}

  void read(const QuantizedPiece& piece, std::uint64_t offset_bytes,
            std::span<std::byte> destination) const override;
  DepthAxis read_rows(std::size_t weight, std::int64_t matrix, std::int64_t first, std::int64_t count,
                      std::span<float> out) const override;

 private:
  const ModelGraph& graph_;
  std::span<const SourceWeight> weights_;
};

// A checkpoint, as the export of `model` would convert it. All must outlive it.
class CheckpointWeightSource : public WeightSource {
 public:
  // `tensors`: planned_tensors() of the model.
  CheckpointWeightSource(const Checkpoint& checkpoint, const OnnxModel& model,
                         std::span<const TensorReport> tensors, std::span<const SourceWeight> weights);

  void read(const QuantizedPiece& piece, std::uint64_t offset_bytes,
            std::span<std::byte> destination) const override;
  DepthAxis read_rows(std::size_t weight, std::int64_t matrix, std::int64_t first, std::int64_t count,
                      std::span<float> out) const override;

  // The reports with what the conversion cost, once everything has been read.
  [[nodiscard]] std::vector<TensorReport> reports() const;

 private:
  [[nodiscard]] std::size_t index_of(const std::string& tensor) const;
  void convert_counted(std::size_t tensor, std::span<const std::byte> from, std::span<std::byte> to) const;
  void read_transposed(std::size_t tensor, std::uint64_t first, std::span<std::byte> destination) const;

  const Checkpoint& checkpoint_;
  const OnnxModel& model_;
  std::span<const SourceWeight> weights_;
  std::unordered_map<std::string, std::size_t> by_name_;
  mutable std::mutex mutex_;
  mutable std::vector<TensorReport> reports_;
};

}  // namespace qvl
