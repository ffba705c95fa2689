// What a QuantizedGraph is made of; private to this layer.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "onnx/model_state.h"
#include "onnx/read/node_parts.h"
#include "onnx/rewrite/quantized_graph.h"

namespace qvl {

struct QuantizedGraph::State {
  std::string source;
  onnx::ModelProto model;
  std::vector<QuantizedPiece> pieces;
  std::uint64_t data_bytes = 0;
  std::uint64_t unpacked_bytes = 0;
  // Where the constants of the model as it was lie outside, and those that are still in the graph.
  std::map<std::string, std::pair<std::string, std::uint64_t>> places;
  std::set<std::string> kept;

  // The model with its data in that file.
  [[nodiscard]] onnx::ModelProto placed_in(const std::string& data_file) const;
  void note_places();
  void note_kept();
  // Lays out the data file, and refers to it. `made`: new tensors.
  void place_all(std::vector<QuantizedPiece>& made);
};

inline constexpr int kFloat = onnx::TensorProto::FLOAT;
inline constexpr int kHalf = onnx::TensorProto::FLOAT16;

template <class T>
onnx::TensorProto tensor_of(onnx::TensorProto::DataType type, const Shape& shape,
                            const std::vector<T>& values) {
  onnx::TensorProto tensor;
  tensor.set_data_type(type);
  for (const std::int64_t dim : shape) tensor.add_dims(dim);
  tensor.mutable_raw_data()->assign(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  return tensor;
}

// Replaces the units of a graph, one after the other.
class QuantizedNodes {
 public:
  QuantizedNodes(onnx::ModelProto& model, const std::string& source);

  // Before all others: a unit that shares the numbers of a table has them as the table takes them.
  void expect(std::span<const QuantizedTable> tables);
  void replace(const QuantizedNode& node, std::size_t number);
  void replace(const QuantizedTable& table, std::size_t number);
  // Puts the new nodes into the graph, and drops what nothing takes any more.
  void finish();

  // New tensors: without places.
  [[nodiscard]] std::vector<QuantizedPiece>& pieces() noexcept { return pieces_; }
  [[nodiscard]] std::uint64_t unpacked_bytes() const noexcept { return unpacked_bytes_; }

 private:
  // The names of a weight's stored numbers in the graph.
  struct Stored {
    std::string levels;
    std::string scales;
    std::string smoothing;
  };
  // While one node is replaced.
  struct Work {
    const QuantizedNode* unit = nullptr;
    std::size_t number = 0;
    onnx::NodeProto old;
    int type = 0;  // ONNX's, of the node's operands
    std::vector<onnx::NodeProto>* out = nullptr;
    Stored stored;
    int made = 0;
  };

  void index_graph();
  [[nodiscard]] int type_of(const std::string& value);
  [[nodiscard]] int rank_of(const std::string& value);
  void infer_types();
  [[noreturn]] void fail(const std::string& node, const std::string& why) const;

  std::string fresh(const std::string& name);
  std::string initializer(const std::string& name, QuantizedPiece::Kind kind, DType dtype, Shape shape,
                          std::size_t unit);
  std::string constant(const std::string& name, onnx::TensorProto tensor);
  std::string numbers(Work& work, const std::string& name, const std::vector<std::int64_t>& values);
  std::string number(Work& work, const std::string& name, float value);
  onnx::NodeProto& add(Work& work, const std::string& op, const std::vector<std::string>& inputs,
                       const std::string& name = "");
  // The one output of the node added last.
  static std::string result(const Work& work) { return work.out->back().output(0); }
  std::string apply(Work& work, const std::string& op, const std::vector<std::string>& inputs);
  std::string cast(Work& work, const std::string& value, int type);

  // What becomes of a unit (quantized_forms.cpp says which and why).
  enum class Form {
    blocks,    // MatMulNBits
    scaled,    // MatMul with the levels, scales behind it
    integers,  // MatMulInteger, scales behind it
    floats,    // the node itself, its weight unpacked when the model is loaded
  };
  [[nodiscard]] Form form_of(const Work& work);
  void count_unpacked(const Work& work, std::uint64_t copies);
  void store_blocks(Work& work, DType scales);
  void store_levels(Work& work, DType levels);
  std::string smoothed(Work& work, const std::string& operand);
  std::string weight_from_blocks(Work& work);
  std::string group_scales(Work& work, const std::string& scales);
  std::string turned(Work& work, const std::string& value, bool stack);
  std::string weight_from_levels(Work& work, float factor);
  void as_blocks(Work& work);
  void as_scaled(Work& work);
  void as_integers(Work& work);
  void as_floats(Work& work);
  std::string matrix_operand(Work& work);
  std::string times_alpha(Work& work, const std::string& value, int type);
  void finish_product(Work& work, std::string value, int type);
  std::string codes_of(Work& work, const std::string& operand, std::string& scale, std::string& zero_point);
  std::string rounded_operand(Work& work, std::string operand);
  void name_last(Work& work);

  onnx::ModelProto& model_;
  onnx::GraphProto& graph_;
  std::string source_;
  std::int64_t opset_ = 0;
  std::unordered_map<std::string, int> makers_;  // value -> node of the graph as it was
  std::unordered_map<std::string, int> types_;   // value -> ONNX type, as far as known
  std::unordered_map<std::string, int> ranks_;
  std::unordered_map<std::string, int> names_;  // that are taken
  bool inferred_ = false;
  std::map<int, std::vector<onnx::NodeProto>> replaced_;  // node of the graph as it was -> its successors
  std::vector<std::string> freed_operands_;               // weights of replaced nodes
  std::map<std::string, Stored> shared_;
  std::set<std::string> shared_with_tables_;
  std::vector<QuantizedPiece> pieces_;
  bool uses_contrib_ = false;
  std::uint64_t unpacked_bytes_ = 0;
};

}  // namespace qvl
