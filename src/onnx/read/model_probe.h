// A look into the graph of an ONNX file: where its external tensors lie, what makes and what takes a value,
// and copies of it that give out values from its inside.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/shape.h"
#include "onnx/parsed_model.h"

namespace qvl {

class OnnxModel;

class ModelProbe {
 public:
  struct External {
    std::string name;
    std::string dtype;  // "F32", …, or "ONNX_TYPE_n" for what qvl has no dtype for
    Shape shape;
    std::string data_file;
    std::uint64_t offset_bytes = 0;
    std::uint64_t size_bytes = 0;  // as the file states it, or by dtype and shape where it does not
  };
  struct Node {
    std::string name;
    std::string op;
    std::vector<std::string> inputs;
    std::vector<std::string> outputs;
  };

  // Throws InputError when a place of external data is no number.
  explicit ModelProbe(ParsedModel model);
  // Of a file. Throws InputError when it is no ONNX model, too, and when it has more than 512 MiB (weights
  // are expected beside it).
  explicit ModelProbe(const std::filesystem::path& path);
  ~ModelProbe();
  ModelProbe(const ModelProbe&) = delete;
  ModelProbe& operator=(const ModelProbe&) = delete;

  [[nodiscard]] const ParsedModel& model() const noexcept;

  // In the file's order.
  [[nodiscard]] const std::vector<External>& external_tensors() const noexcept;

  // The node whose result the value is; null when there is none (an input, an initializer, no value at all).
  [[nodiscard]] const Node* maker_of(std::string_view value) const;
  // The nodes that take the value, in the graph's order.
  [[nodiscard]] std::vector<const Node*> takers_of(std::string_view value) const;

  // The model, serialized, with these values as outputs behind its own; those that are outputs already are
  // left as they are. Throws UsageError when a node makes no such value.
  [[nodiscard]] std::string with_outputs(std::span<const std::string> values) const;

  // The first thing in which this model is not the expected one: operator sets, inputs, outputs, initializers
  // (the values of those in the graph, the places of external ones), nodes, and whatever else a model can
  // hold (its IR version, local functions, sparse initializers, ...). Nothing when it is the same; the name
  // of the data file, names of producers and metadata do not count.
  [[nodiscard]] std::optional<std::string> difference_from(const OnnxModel& expected) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace qvl
