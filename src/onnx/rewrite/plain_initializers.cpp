#include "onnx/rewrite/plain_initializers.h"

#include <fmt/format.h>

#include <cstring>
#include <unordered_set>
#include <vector>

#include "onnx/external_data.h"
#include "onnx/read/model_graph_state.h"
#include "onnx/read/node_parts.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::uint64_t kMostSparseBytes = std::uint64_t{512} << 20U;

const onnx::TensorProto* held_tensor(const onnx::NodeProto& node) {
  if (!is_standard(node, "Constant")) return nullptr;
  if (node.output_size() != 1 || node.attribute_size() != 1) return nullptr;
  const onnx::AttributeProto& attribute = node.attribute(0);
  return attribute.name() == "value" && attribute.has_t() ? &attribute.t() : nullptr;
}

class SparseTensor {
 public:
  SparseTensor(const onnx::SparseTensorProto& tensor, const std::string& source)
      : tensor_(tensor), source_(source), shape_(tensor.dims().begin(), tensor.dims().end()) {}

  [[nodiscard]] onnx::TensorProto dense() const {
    const onnx::TensorProto& values = tensor_.values();
    const auto dtype = dtype_from_onnx(values.data_type());
    const auto count = element_count(shape_);
    if (!dtype || !count) refuse("numbers of a type and a shape that qvl knows are expected");
    for (const onnx::TensorProto* part : {&values, &tensor_.indices()}) {
      if (is_external(*part)) refuse("its numbers lie in another file; within the model they are expected");
    }
    std::uint64_t bytes = 0;
    const std::size_t width = size_bytes(*dtype);
    if (__builtin_mul_overflow(static_cast<std::uint64_t>(*count), width, &bytes) || bytes > kMostSparseBytes)
      refuse(fmt::format("with its zeros it has more than {} bytes", kMostSparseBytes));
    const std::string stored = tensor_bytes(values, *dtype, source_);
    const std::vector<std::uint64_t> places =
        places_of(stored.size() / width, static_cast<std::uint64_t>(*count));
    onnx::TensorProto dense;
    dense.set_name(values.name());
    dense.set_data_type(values.data_type());
    *dense.mutable_dims() = tensor_.dims();
    std::string& raw = *dense.mutable_raw_data();
    raw.assign(bytes, '\0');
    for (std::size_t i = 0; i < places.size(); ++i)
      std::memcpy(raw.data() + places[i] * width, stored.data() + i * width, width);
    return dense;
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    throw InputError(fmt::format("{}: the sparse constant {} {} cannot be read: {}", source_,
                                 tensor_.values().name(), to_string(shape_), why));
  }

  // Of each value in the dense tensor: indices are [n] of places, or [n, rank] of coordinates.
  [[nodiscard]] std::vector<std::uint64_t> places_of(std::size_t values, std::uint64_t count) const {
    const onnx::TensorProto& indices = tensor_.indices();
    if (indices.data_type() != onnx::TensorProto::INT64) refuse("its indices are not I64");
    const std::string bytes = tensor_bytes(indices, DType::i64, source_);
    std::vector<std::int64_t> numbers(bytes.size() / sizeof(std::int64_t));
    std::memcpy(numbers.data(), bytes.data(), bytes.size());
    const std::size_t each = indices.dims_size() == 2 ? shape_.size() : 1;
    if (each == 0 || numbers.size() != values * each) {
      refuse(fmt::format("{} indices for {} values", numbers.size(), values));
    }
    std::vector<std::uint64_t> places(values);
    for (std::size_t i = 0; i < values; ++i) {
      std::uint64_t place = 0;
      for (std::size_t d = 0; d < each; ++d) {
        const std::int64_t index = numbers[i * each + d];
        const auto size =
            each == 1 && indices.dims_size() != 2 ? static_cast<std::int64_t>(count) : shape_[d];
        if (index < 0 || index >= size) refuse(fmt::format("index {} lies outside", index));
        place = place * static_cast<std::uint64_t>(size) + static_cast<std::uint64_t>(index);
      }
      places[i] = place;
    }
    return places;
  }

  const onnx::SparseTensorProto& tensor_;
  const std::string& source_;
  Shape shape_;
};

}  // namespace

void make_plain_initializers(onnx::ModelProto& model, const std::string& source) {
  onnx::GraphProto& graph = *model.mutable_graph();
  std::unordered_set<std::string> taken;
  for (const onnx::TensorProto& tensor : graph.initializer()) taken.insert(tensor.name());
  const auto take = [&](const std::string& name) {
    if (!taken.insert(name).second)
      throw InputError(fmt::format("{}: two constants are called {}", source, name));
  };
  for (const onnx::SparseTensorProto& sparse : graph.sparse_initializer()) {
    take(sparse.values().name());
    *graph.add_initializer() = SparseTensor(sparse, source).dense();
  }
  graph.clear_sparse_initializer();
  google::protobuf::RepeatedPtrField<onnx::NodeProto> nodes;
  for (onnx::NodeProto& node : *graph.mutable_node()) {
    if (held_tensor(node) == nullptr) {
      nodes.Add()->Swap(&node);
      continue;
    }
    take(node.output(0));
    onnx::TensorProto& tensor = *graph.add_initializer();
    tensor.Swap(node.mutable_attribute(0)->mutable_t());
    tensor.set_name(node.output(0));
  }
  graph.mutable_node()->Swap(&nodes);
}

}  // namespace qvl
