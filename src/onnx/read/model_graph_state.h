// What a ModelGraph holds; private to this layer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/mapped_file.h"
#include "onnx/model_state.h"
#include "onnx/read/model_graph.h"

namespace qvl {

struct ModelGraph::State {
  // A file of external data.
  struct DataFile {
    std::filesystem::path path;
    std::uint64_t size_bytes = 0;
    std::optional<MappedFile> mapped;  // nothing: it is not written yet

    // Throws UsageError where it is not written yet, and as MappedFile does.
    void read(std::uint64_t offset_bytes, std::span<std::byte> destination) const;
  };
  // Where the bytes of an initializer are.
  struct Place {
    Constant constant;
    int initializer = 0;             // in the model's graph
    const DataFile* file = nullptr;  // of external data; null: in the model
    std::uint64_t offset_bytes = 0;
    bool keep_stored = false;  // not widened
  };

  std::filesystem::path path;
  std::int64_t opset = 0;
  onnx::ModelProto model;  // widened; external tensors hold their places only
  std::vector<Node> nodes;
  std::vector<Port> inputs;
  std::vector<Port> outputs;
  std::vector<BodyUnit> body_units;
  std::vector<std::string> undrawable;
  std::map<std::string, DataFile> data_files;
  std::unordered_map<std::string, Place> places;
  std::unordered_map<std::string, std::size_t> makers;
  std::unordered_map<std::string, std::string> renamed;    // -> as in the file
  std::unordered_map<std::string, std::string> alike;      // initializers -> the first with the same bytes
  std::unordered_set<std::string> defaults;                // inputs that have an initializer
  std::unordered_map<std::string, onnx::TypeProto> types;  // where sub-graphs need them: value_types()
  std::unordered_set<std::string> constants;  // values that do not depend on inputs, initializers too

  [[nodiscard]] const Place& place(std::string_view constant) const;
};

// Makes f32 of every half-precision type in the graph but for its initializers, sub-graphs included.
void widen_types(onnx::GraphProto& graph);
void widen_types(onnx::FunctionProto& function);
// The elements of a tensor whose values lie in the message, as raw little-endian bytes.
[[nodiscard]] std::string tensor_bytes(const onnx::TensorProto& tensor, DType dtype,
                                       const std::string& source);
// The same as f32, for f16 and bf16 tensors, in a new message of the same name.
[[nodiscard]] onnx::TensorProto widened(const onnx::TensorProto& tensor, const std::string& source);
// Values of the enclosing graph that the sub-graphs of a node take.
[[nodiscard]] std::vector<std::string> captured_values(const onnx::NodeProto& node);

}  // namespace qvl
