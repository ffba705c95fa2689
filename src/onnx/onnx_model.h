// A finished ONNX model whose large tensors lie in one external data file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/shape.h"
#include "core/tensor.h"

namespace qvl {

// Where one tensor lies in the external data file.
struct ExternalTensor {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  std::uint64_t offset_bytes = 0;  // a multiple of OnnxModel::kAlignmentBytes
  std::uint64_t size_bytes = 0;
  std::optional<Tensor> values;  // of constants computed by qvl; weights come from the checkpoint
};

class OnnxModel {
 public:
  static constexpr std::uint64_t kAlignmentBytes = 4096;

  struct State;  // the protobuf; defined inside the layer
  explicit OnnxModel(std::unique_ptr<State> state);
  ~OnnxModel();
  OnnxModel(OnnxModel&&) noexcept;
  OnnxModel& operator=(OnnxModel&&) noexcept;

  // In the order of their offsets.
  [[nodiscard]] const std::vector<ExternalTensor>& external_tensors() const noexcept;
  [[nodiscard]] std::uint64_t external_size_bytes() const noexcept;

  // The graph as bytes; its external data is expected beside it under `data_file`.
  [[nodiscard]] std::string serialize(const std::string& data_file) const;
  // Writes the graph to `path` (through core/output_file.h); its external data is expected beside it under
  // `data_file`.
  void save(const std::filesystem::path& path, const std::string& data_file) const;

  // ONNX's own checker and strict shape inference on a saved model whose data file exists. Throws InputError
  // with their message. The inferred shapes must agree with those the builder wrote down.
  static void check(const std::filesystem::path& path);

  // For this layer.
  [[nodiscard]] const State& state() const noexcept { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

}  // namespace qvl
