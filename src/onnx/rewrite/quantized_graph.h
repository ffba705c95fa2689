// A model whose weights are stored quantized: the graph around them, and the external data file that it
// needs.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/dtype.h"
#include "core/shape.h"
#include "onnx/parsed_model.h"

namespace qvl {

// One MatMul, Gemm or Conv whose second operand, a constant, is to be stored in 8 or 4 bits.
struct QuantizedNode {
  enum class Activations { kept, dynamic, fixed };

  std::string output;  // of the node: which one it is
  std::string weight;  // the initializer that the weight comes from, for the names of the new ones
  // The weight as the node takes it: `matrices` stacked ones of `rows` output channels of `depth` weights.
  Shape shape;
  std::int64_t matrices = 1;
  std::int64_t rows = 0;
  std::int64_t depth = 0;
  int bits = 8;
  std::int64_t group = 0;   // weights that share a scale; 0: all of a row
  std::int64_t block = 32;  // the same of MatMulNBits, which has no groups of all sizes
  Activations activations = Activations::kept;
  float range_scale = 1;  // of Activations::fixed: u8 = x / scale + zero point
  std::uint8_t range_zero_point = 0;
  bool smoothed = false;   // the operand is multiplied by a vector [depth] first; no Conv
  int accuracy_level = 0;  // of MatMulNBits; above 0 it is taken wherever it can be
  // Nodes and tables of one weight that are quantized alike and give the same text here share their numbers.
  // "": none does.
  std::string share;
};

// One Gather along the rows of a constant table [rows, depth], to become GatherBlockQuantized.
struct QuantizedTable {
  std::string output;
  std::string weight;
  std::int64_t rows = 0;
  std::int64_t depth = 0;
  int bits = 8;
  std::int64_t block = 32;
  std::string share;
};

// A tensor of the new data file and what it is filled with.
struct QuantizedPiece {
  enum class Kind {
    copied,   // the initializer `source` of the model, as stored
    blocks,   // u8 [rows, blocks, block x bits / 8]: levels + 2^(bits-1), two 4-bit ones a byte, the first in
              // the lower half; what fills the last block is the zero point
    columns,  // [..., depth, rows]: u8, levels + 128, or i8, levels
    rows,     // [rows, ...], a row's weights side by side: likewise
    scales,   // of blocks or groups [rows, blocks], or one a row; f32 or f16
    smoothing,  // f32 [depth]
  };
  Kind kind = Kind::copied;
  std::string name;
  DType dtype = DType::u8;
  Shape shape;
  std::uint64_t offset_bytes = 0;  // a multiple of QuantizedGraph::alignment_of(size_bytes)
  std::uint64_t size_bytes = 0;
  // Of what is copied: the initializer, and where its bytes lie in the model's folder.
  std::string source;
  std::string source_file;
  std::uint64_t source_offset_bytes = 0;
  // Of the first node (then table: nodes.size() + its number) that takes it.
  std::size_t unit = 0;
  // The piece whose bytes these are, too: another shape of the same numbers, or another copied initializer of
  // the same place. "": none.
  std::string twin_of;

  bool operator==(const QuantizedPiece&) const = default;
};

// What each unit becomes is chosen by what ONNX Runtime runs fast and as it is written, at any optimization
// level (quantized_forms.cpp, docs/quantize.md): MatMulNBits, a MatMul of integers, or the node itself with a
// weight that standard operators unpack, which runtimes fold when they load the model. No DequantizeLinear:
// ONNX Runtime makes other products of it. Products are in f32, but MatMulNBits and unpacked weights in an
// f16 graph, which are f16 as their neighbours. Beside rounded activations a MatMul has u8 weights with zero
// point 128 instead of s8: the product of u8 and s8 overflows its 16 bits on x86 without VNNI. Nodes keep
// their names and outputs.
class QuantizedGraph {
 public:
  // The model's external data is not read. `metadata` is added to the model's. Throws InputError for nodes
  // that are not what they are said to be.
  QuantizedGraph(ParsedModel model, std::span<const QuantizedNode> nodes,
                 std::span<const QuantizedTable> tables,
                 std::span<const std::pair<std::string, std::string>> metadata);
  // Of a tensor of so many bytes in the data file: a page for those of 1 MiB and more, which a runtime may
  // want to map, a cache line for smaller ones, of which a model may have thousands.
  [[nodiscard]] static std::uint64_t alignment_of(std::uint64_t size_bytes) noexcept;

  ~QuantizedGraph();
  QuantizedGraph(QuantizedGraph&&) noexcept;
  QuantizedGraph& operator=(QuantizedGraph&&) noexcept;

  // By rising offset. External initializers of the model are among them when something still needs them.
  [[nodiscard]] const std::vector<QuantizedPiece>& pieces() const noexcept;
  [[nodiscard]] std::uint64_t data_bytes() const noexcept;
  // What a runtime holds of weights that it unpacks when it loads the model: ONNX Runtime keeps room for each
  // step that it folds, and the weight as its kernels take it (docs/quantize.md has what was measured).
  [[nodiscard]] std::uint64_t unpacked_bytes() const noexcept;
  // Whether something in the graph still takes a constant of the model (an initializer, or what a Constant
  // node gives), or another one that lies at the same place of the same file.
  [[nodiscard]] bool keeps(const std::string& constant) const;
  // Of the file that the graph makes beside `data_file`.
  [[nodiscard]] std::uint64_t file_bytes(const std::string& data_file) const;
  // The graph; its data is expected beside it under `data_file`. Throws MachineError beyond 2 GiB.
  [[nodiscard]] std::string serialize(const std::string& data_file) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace qvl
