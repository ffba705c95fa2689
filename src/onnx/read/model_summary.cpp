#include "onnx/read/model_summary.h"

#include <fmt/format.h>

#include <limits>
#include <set>
#include <unordered_map>
#include <utility>

#include "core/mapped_file.h"
#include "core/shape.h"
#include "onnx/element_type.h"
#include "onnx/external_data.h"
#include "onnx/model_state.h"
#include "onnx/read/node_parts.h"
#include "onnx/read/wire.h"
#include "onnx/rewrite/branches.h"
#include "qvl/error.h"

namespace qvl {
namespace {

ModelSummary::Port port(const onnx::ValueInfoProto& info) {
  ModelSummary::Port result;
  result.name = info.name();
  const onnx::TypeProto& type = info.type();
  if (!type.has_tensor_type()) {
    result.dtype = "not a tensor";
    return result;
  }
  result.dtype = element_type(type.tensor_type().elem_type()).name;
  for (const auto& dim : type.tensor_type().shape().dim()) {
    if (dim.has_dim_value()) {
      result.shape.push_back(std::to_string(dim.dim_value()));
    } else {
      result.shape.push_back(dim.dim_param().empty() ? "?" : dim.dim_param());
    }
  }
  return result;
}

class Summarizer {
 public:
  Summarizer(ModelSummary& summary, std::string_view source) : summary_(summary), source_(source) {}

  void graph(const onnx::GraphProto& g) {
    std::unordered_map<std::string_view, const std::string*> used_by;
    for (const onnx::NodeProto& node : g.node()) {
      ++summary_.ops[is_standard(node) ? node.op_type() : node.domain() + "::" + node.op_type()];
      for (const std::string& input : node.input()) used_by.emplace(input, &node.op_type());
      for (const onnx::AttributeProto& attribute : node.attribute()) {
        if (attribute.has_g()) graph(attribute.g());
        for (const onnx::GraphProto& inner : attribute.graphs()) graph(inner);
      }
    }
    for (const onnx::TensorProto& tensor : g.initializer()) {
      const auto found = used_by.find(tensor.name());
      initializer(tensor, found == used_by.end() ? "" : *found->second);
    }
    for (const onnx::SparseTensorProto& sparse : g.sparse_initializer())
      initializer(sparse.values(), "sparse");
  }

 private:
  void initializer(const onnx::TensorProto& tensor, const std::string& used_by) {
    const ElementType type = element_type(tensor.data_type());
    const std::vector<std::int64_t> shape(tensor.dims().begin(), tensor.dims().end());
    const auto count = element_count(shape);
    if (!count || *count > std::numeric_limits<std::int64_t>::max() / 64) {
      throw InputError(fmt::format("{}: initializer {} cannot have the shape {}", source_, tensor.name(),
                                   to_string(shape)));
    }
    ModelSummary::Initializer row{tensor.name(), type.name, shape, 0, used_by, external_file(tensor)};
    row.size_bytes = (static_cast<std::uint64_t>(*count) * type.bits + 7) / 8;
    if (!shape.empty() && type.name != "I64" && type.name != "STRING" && type.name != "BOOL") {
      if (__builtin_add_overflow(summary_.parameters, *count, &summary_.parameters)) {
        throw InputError(fmt::format("{} claims more parameters than can be counted", source_));
      }
    }
    summary_.size_bytes += row.size_bytes;
    summary_.initializers.push_back(std::move(row));
  }

  ModelSummary& summary_;
  std::string_view source_;
};

}  // namespace

ModelSummary summarize_model(ParsedModel parsed) {
  onnx::ModelProto& model = parsed.state().model;
  const std::string source = parsed.path().string();
  ModelSummary summary;
  summary.producer =
      model.producer_name() + (model.producer_version().empty() ? "" : " " + model.producer_version());
  summary.ir_version = model.ir_version();
  for (const onnx::OperatorSetIdProto& opset : model.opset_import()) {
    if (opset.domain().empty() || opset.domain() == "ai.onnx") {
      summary.opset = opset.version();
    } else {
      summary.other_opsets[opset.domain()] = opset.version();
    }
  }
  Summarizer(summary, source).graph(model.graph());
  put_branches_in_place(model, {}, source);
  summary.body_units = units_in_bodies(model.graph());
  // Files of IR version 3 list initializers among the inputs.
  std::set<std::string_view> initialized;
  for (const auto& initializer : summary.initializers) initialized.insert(initializer.name);
  for (const auto& input : model.graph().input()) {
    if (!initialized.contains(input.name())) summary.inputs.push_back(port(input));
  }
  for (const auto& output : model.graph().output()) summary.outputs.push_back(port(output));
  return summary;
}

ModelSummary summarize_model(std::span<const std::byte> bytes, std::string_view source) {
  const std::string stripped = strip_tensor_values(bytes, source);
  return summarize_model(ParsedModel(std::as_bytes(std::span(stripped)), source));
}

ModelSummary summarize_model(const std::filesystem::path& path) {
  const MappedFile file(path);
  return summarize_model(file.bytes(), path.string());
}

}  // namespace qvl
