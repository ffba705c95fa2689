#include "onnx/read/model_probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include "core/mapped_file.h"
#include "onnx/external_data.h"
#include "onnx/model_state.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::size_t kMostBytes = std::size_t{512} << 20U;

ParsedModel small_model(const std::filesystem::path& path) {
  const MappedFile file(path);
  if (file.bytes().size() > kMostBytes) {
    throw InputError(fmt::format("{} has {} bytes; a graph whose weights lie beside it is expected",
                                 path.string(), file.bytes().size()));
  }
  return ParsedModel(file.bytes(), path);
}

ModelProbe::External external_of(const onnx::TensorProto& tensor, std::string_view source) {
  const auto dtype = dtype_from_onnx(tensor.data_type());
  const ExternalPlace place = external_place(tensor, source);
  ModelProbe::External external{
      tensor.name(),
      dtype ? std::string(name(*dtype)) : fmt::format("ONNX_TYPE_{}", tensor.data_type()),
      Shape(tensor.dims().begin(), tensor.dims().end()),
      place.file,
      place.offset_bytes,
      place.length_bytes.value_or(0)};
  const auto count = element_count(external.shape);
  if (!place.length_bytes && dtype && count &&
      __builtin_mul_overflow(static_cast<std::uint64_t>(*count), size_bytes(*dtype), &external.size_bytes)) {
    throw InputError(
        fmt::format("{}: {} cannot have the shape {}", source, tensor.name(), to_string(external.shape)));
  }
  return external;
}

std::string joined(const google::protobuf::RepeatedPtrField<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

std::optional<std::string> node_difference(const onnx::NodeProto& found, const onnx::NodeProto& expected) {
  if (found.SerializeAsString() == expected.SerializeAsString()) return std::nullopt;
  if (found.name() != expected.name() || found.op_type() != expected.op_type()) {
    return fmt::format("node {} ({}) stands where {} ({}) is expected", found.name(), found.op_type(),
                       expected.name(), expected.op_type());
  }
  if (joined(found.input()) != joined(expected.input())) {
    return fmt::format("node {} takes {}; {} is expected", found.name(), joined(found.input()),
                       joined(expected.input()));
  }
  if (joined(found.output()) != joined(expected.output())) {
    return fmt::format("node {} makes {}; {} is expected", found.name(), joined(found.output()),
                       joined(expected.output()));
  }
  return fmt::format("node {} has other attributes than expected", found.name());
}

std::optional<std::string> initializer_difference(onnx::TensorProto found, onnx::TensorProto expected) {
  if (found.name() != expected.name()) {
    return fmt::format("initializer {} stands where {} is expected", found.name(), expected.name());
  }
  set_external_file(found, "");
  set_external_file(expected, "");
  if (found.SerializeAsString() == expected.SerializeAsString()) return std::nullopt;
  const bool same_type =
      found.data_type() == expected.data_type() &&
      std::equal(found.dims().begin(), found.dims().end(), expected.dims().begin(), expected.dims().end());
  return fmt::format("initializer {} has another {} than expected", found.name(),
                     !same_type               ? "type or shape"
                     : !is_external(expected) ? "value"
                                              : "place in the data file");
}

template <class List, class Difference>
std::optional<std::string> list_difference(const char* what, const List& found, const List& expected,
                                           Difference&& difference) {
  for (int i = 0; i < std::min(found.size(), expected.size()); ++i) {
    if (auto text = difference(found.Get(i), expected.Get(i))) return text;
  }
  if (found.size() == expected.size()) return std::nullopt;
  return fmt::format("{} {}; {} are expected", found.size(), what, expected.size());
}

std::optional<std::string> port_difference(const onnx::ValueInfoProto& found,
                                           const onnx::ValueInfoProto& expected) {
  if (found.SerializeAsString() == expected.SerializeAsString()) return std::nullopt;
  return fmt::format("input or output {} is not {} as expected", found.name(), expected.name());
}

// What a model can hold besides what is compared piece by piece; every part of it may change what a runtime
// does.
std::optional<std::string> rest_difference(onnx::ModelProto found, onnx::ModelProto expected) {
  if (found.ir_version() != expected.ir_version()) {
    return fmt::format("ONNX's IR version is {}; {} is expected", found.ir_version(), expected.ir_version());
  }
  if (found.functions_size() != expected.functions_size())
    return fmt::format("{} local functions; {} are expected", found.functions_size(),
                       expected.functions_size());
  if (found.graph().sparse_initializer_size() != expected.graph().sparse_initializer_size()) {
    return fmt::format("{} sparse initializers; {} are expected", found.graph().sparse_initializer_size(),
                       expected.graph().sparse_initializer_size());
  }
  for (onnx::ModelProto* model : {&found, &expected}) {
    model->clear_producer_name();
    model->clear_producer_version();
    model->clear_metadata_props();
    for (onnx::TensorProto& tensor : *model->mutable_graph()->mutable_initializer())
      set_external_file(tensor, "");
  }
  if (found.SerializeAsString() == expected.SerializeAsString()) return std::nullopt;
  return "the same nodes and initializers, but other descriptions of values, functions or annotations";
}

}  // namespace

struct ModelProbe::State {
  ParsedModel parsed;
  std::vector<External> external;
  std::vector<Node> nodes;
  std::unordered_map<std::string_view, std::size_t> maker;  // into nodes; keys are their output names

  [[nodiscard]] const onnx::ModelProto& model() const { return parsed.state().model; }
  [[nodiscard]] std::string source() const { return parsed.path().string(); }
};

ModelProbe::ModelProbe(const std::filesystem::path& path) : ModelProbe(small_model(path)) {}

ModelProbe::ModelProbe(ParsedModel model)
    : state_(std::make_unique<State>(State{std::move(model), {}, {}, {}})) {
  State& s = *state_;
  for (const onnx::TensorProto& tensor : s.model().graph().initializer()) {
    if (is_external(tensor)) s.external.push_back(external_of(tensor, s.source()));
  }
  for (const onnx::NodeProto& node : s.model().graph().node()) {
    s.nodes.push_back({node.name(),
                       node.op_type(),
                       {node.input().begin(), node.input().end()},
                       {node.output().begin(), node.output().end()}});
  }
  for (std::size_t i = 0; i < s.nodes.size(); ++i) {
    for (const std::string& output : s.nodes[i].outputs) s.maker.emplace(output, i);
  }
}

ModelProbe::~ModelProbe() = default;

const ParsedModel& ModelProbe::model() const noexcept { return state_->parsed; }

const std::vector<ModelProbe::External>& ModelProbe::external_tensors() const noexcept {
  return state_->external;
}

const ModelProbe::Node* ModelProbe::maker_of(std::string_view value) const {
  const auto found = state_->maker.find(value);
  return found == state_->maker.end() ? nullptr : &state_->nodes[found->second];
}

std::vector<const ModelProbe::Node*> ModelProbe::takers_of(std::string_view value) const {
  std::vector<const Node*> takers;
  for (const Node& node : state_->nodes) {
    if (std::find(node.inputs.begin(), node.inputs.end(), value) != node.inputs.end())
      takers.push_back(&node);
  }
  return takers;
}

std::string ModelProbe::with_outputs(std::span<const std::string> values) const {
  onnx::ModelProto model = state_->model();
  onnx::GraphProto& graph = *model.mutable_graph();
  std::set<std::string_view> wanted;
  for (const std::string& value : values) {
    if (maker_of(value) == nullptr) {
      throw UsageError(fmt::format("{}: no node makes a value {}", state_->source(), value));
    }
    wanted.insert(value);
  }
  for (const onnx::ValueInfoProto& output : graph.output()) wanted.erase(output.name());
  // What is known of a value's type moves with it: a name may be described once.
  std::unordered_map<std::string_view, onnx::ValueInfoProto> known;
  auto* infos = graph.mutable_value_info();
  for (int i = infos->size() - 1; i >= 0; --i) {
    const auto found = wanted.find(infos->Get(i).name());
    if (found == wanted.end()) continue;
    known[*found] = infos->Get(i);
    infos->DeleteSubrange(i, 1);
  }
  for (const std::string& value : values) {
    if (wanted.erase(value) == 0) continue;  // an output already
    onnx::ValueInfoProto* output = graph.add_output();
    const auto found = known.find(value);
    if (found != known.end()) *output = found->second;
    output->set_name(value);
  }
  std::string bytes;
  if (!model.SerializeToString(&bytes)) {
    throw MachineError(fmt::format("a copy of {} does not fit a protobuf (2 GiB)", state_->source()));
  }
  return bytes;
}

std::optional<std::string> ModelProbe::difference_from(const OnnxModel& expected) const {
  const onnx::ModelProto& found = state_->model();
  const onnx::ModelProto& wanted = expected.state().model;
  const auto opset_difference = [](const auto& a, const auto& b) -> std::optional<std::string> {
    if (a.SerializeAsString() == b.SerializeAsString()) return std::nullopt;
    return fmt::format("operator set {} {}; {} {} is expected", a.domain(), a.version(), b.domain(),
                       b.version());
  };
  const onnx::GraphProto& graph = found.graph();
  const onnx::GraphProto& other = wanted.graph();
  auto text = list_difference("operator sets", found.opset_import(), wanted.opset_import(), opset_difference);
  if (!text) text = list_difference("inputs", graph.input(), other.input(), port_difference);
  if (!text) text = list_difference("outputs", graph.output(), other.output(), port_difference);
  if (!text)
    text = list_difference("initializers", graph.initializer(), other.initializer(), initializer_difference);
  if (!text) text = list_difference("nodes", graph.node(), other.node(), node_difference);
  if (!text) text = rest_difference(found, wanted);
  return text;
}

}  // namespace qvl
