// Any ONNX model as a graph that can be cut: its nodes, where its constants lie, and models made of parts of
// it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/dtype.h"
#include "core/shape.h"
#include "core/tensor.h"
#include "onnx/parsed_model.h"
#include "onnx/read/body_units.h"
#include "onnx/read/model_slice.h"
#include "onnx/rewrite/branches.h"

namespace qvl {

// The graph computes in f32: half-precision inputs, outputs, constants and casts are widened, as the CPU
// provider of ONNX Runtime does it where it runs such a model. The values of the weights stay those of the
// file. A large half-precision table that only Gather takes stays as stored, and what is gathered is widened.
class ModelGraph {
 public:
  struct Node {
    std::string name;
    std::string op;
    std::string domain;                 // "" for the standard one
    std::vector<std::string> inputs;    // "" where an optional one is left out
    std::vector<std::string> outputs;   // likewise
    std::vector<std::string> captured;  // values of this graph that the node's sub-graphs take
    // Those of the outputs that are random draws. A Dropout that drops something stands here for its mask
    // alone: other nodes make of it what the file's node gives.
    std::vector<std::string> drawn;
  };
  struct Port {
    std::string name;
    std::optional<DType> dtype;       // after widening; none for what qvl has no dtype for
    std::vector<std::int64_t> shape;  // -1: open
  };
  // An initializer. `shape` and `stored` are those of the file.
  struct Constant {
    std::string name;
    DType stored = DType::f32;
    Shape shape;
    std::uint64_t size_bytes = 0;
    bool external = false;
  };

  struct State;  // the protobuf; defined inside the layer

  // External data stays in its files beside the model. Constant nodes and sparse initializers are
  // initializers here. Where a condition is a constant, and for the If nodes of `fixed`, the branch that is
  // taken stands in the place of the If. Throws InputError when the opset is older than 11, and when external
  // data is not where the model says.
  explicit ModelGraph(ParsedModel model, const std::vector<FixedBranch>& fixed = {});
  // Of a file. Throws InputError when it is no ONNX model, too.
  explicit ModelGraph(const std::filesystem::path& path, const std::vector<FixedBranch>& fixed = {});
  ~ModelGraph();
  ModelGraph(ModelGraph&&) noexcept;
  ModelGraph& operator=(ModelGraph&&) noexcept;

  [[nodiscard]] const std::filesystem::path& path() const noexcept;
  [[nodiscard]] std::int64_t opset() const noexcept;
  // In the file's order, which is one of computation.
  [[nodiscard]] const std::vector<Node>& nodes() const noexcept;
  // Without those that have an initializer, which is taken for constant.
  [[nodiscard]] const std::vector<Port>& inputs() const noexcept;
  // Whether it is an input that has an initializer, which a run may replace.
  [[nodiscard]] bool has_default(std::string_view input) const;
  [[nodiscard]] const std::vector<Port>& outputs() const noexcept;
  // Units in the bodies of If, Loop and Scan.
  [[nodiscard]] const std::vector<BodyUnit>& body_units() const noexcept;
  // Nodes that draw random numbers which cannot be kept: in bodies, and Dropout whose training_mode is no
  // constant. By name.
  [[nodiscard]] const std::vector<std::string>& undrawable() const noexcept;
  // The file and all files of external data that it names.
  [[nodiscard]] std::vector<std::filesystem::path> files() const;

  // Null when it is no initializer of a dtype that qvl has.
  [[nodiscard]] const Constant* constant(std::string_view value) const;
  // The first initializer, in the file's order, that has the same bytes and dtype: in the model, or at the
  // same place of the same file. The value itself where it is the first, or no initializer.
  [[nodiscard]] const std::string& first_alike(const std::string& value) const;
  // Whether the value does not depend on the model's inputs.
  [[nodiscard]] bool is_constant(std::string_view value) const;
  // The node that makes a value; none for inputs, initializers and unknown names.
  [[nodiscard]] std::optional<std::size_t> maker_of(std::string_view value) const;
  // What the file calls a value: values around a table that stays as stored have other names here.
  [[nodiscard]] const std::string& name_in_file(const std::string& value) const;
  // The value of an initializer as f32, `count` elements from `first`. Throws InputError when it is none or
  // holds no floating-point numbers; UsageError, as read_external() and slice(), for numbers that are not
  // written yet.
  void read_f32(std::string_view constant, std::uint64_t first, std::span<float> destination) const;
  // Bytes of a file of external data, by the name that the model gives it. Throws InputError where it has
  // none there.
  void read_external(const std::string& file, std::uint64_t offset_bytes,
                     std::span<std::byte> destination) const;
  // An integer attribute of a node.
  [[nodiscard]] std::int64_t attribute(std::size_t node, std::string_view name, std::int64_t missing) const;

  // A list of integers; empty where the node does not have it.
  [[nodiscard]] std::vector<std::int64_t> attributes(std::size_t node, std::string_view name) const;

  // A model of these nodes, serialized; constants that they need, and nodes that compute those, come along.
  // External constants are referred to, so that the model must be loaded from this file's folder. Throws
  // UsageError when a node takes a value that nothing gives.
  [[nodiscard]] std::string slice(const ModelSlice& slice) const;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace qvl
