#include "onnx/rewrite/local_functions.h"

#include <fmt/format.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "onnx/operator_set.h"
#include "onnx/rewrite/name_pool.h"
#include "qvl/error.h"

namespace qvl {
namespace {

// Functions that call others twice each could grow without bounds.
constexpr std::size_t kMostNodes = 1'000'000;
constexpr std::size_t kMostGrowth = 1000;
constexpr std::size_t kDeepest = 64;
constexpr std::size_t kLeastBytes = std::size_t{64} << 20U;

using Nodes = google::protobuf::RepeatedPtrField<onnx::NodeProto>;
using Attributes = std::unordered_map<std::string, const onnx::AttributeProto*>;

// What tells a function from others of the model: domain, name, and overload where the classes know it.
struct Key {
  std::string domain;
  std::string name;
  std::string overload;
  friend auto operator<=>(const Key&, const Key&) = default;
};

// Calls visit(bytes) for each field of the number, which classes older than the file do not know.
template <class Visit>
void for_each_unknown(const google::protobuf::Message& message, int number, const Visit& visit) {
  const auto& fields = message.GetReflection()->GetUnknownFields(message);
  for (int i = 0; i < fields.field_count(); ++i) {
    const google::protobuf::UnknownField& field = fields.field(i);
    if (field.number() == number && field.type() == google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED)
      visit(field.length_delimited());
  }
}

// NodeProto's and FunctionProto's came with onnx 1.16.
template <class Message>
std::string overload_of(const Message& message, int number) {
  std::string overload;
  if constexpr (requires { message.overload(); }) {
    overload = message.overload();
  } else {
    for_each_unknown(message, number, [&](const std::string& bytes) { overload = bytes; });
  }
  return overload;
}

// Values that attributes have where a call gives none; they came with onnx 1.13.
template <class Function>
std::vector<onnx::AttributeProto> defaults_of(const Function& function) {
  std::vector<onnx::AttributeProto> defaults;
  if constexpr (requires { function.attribute_proto(); }) {
    defaults.assign(function.attribute_proto().begin(), function.attribute_proto().end());
  } else {
    for_each_unknown(function, 11, [&](const std::string& bytes) {
      if (!defaults.emplace_back().ParseFromString(bytes)) defaults.pop_back();
    });
  }
  return defaults;
}

Key key_of(const onnx::FunctionProto& function) {
  return {short_domain(function.domain()), function.name(), overload_of(function, 13)};
}
Key key_of(const onnx::NodeProto& node) {
  return {short_domain(node.domain()), node.op_type(), overload_of(node, 8)};
}

// What a node is, without its operands and its attributes, which may be large.
template <class Node>
void copy_labels(const Node& node, Node& out) {
  out.set_op_type(node.op_type());
  out.set_domain(node.domain());
  out.set_doc_string(node.doc_string());
  if constexpr (requires { node.overload(); }) out.set_overload(node.overload());
  if constexpr (requires { node.metadata_props(); }) *out.mutable_metadata_props() = node.metadata_props();
  out.mutable_unknown_fields()->MergeFrom(node.unknown_fields());
}

void add_called(const onnx::NodeProto& node, std::vector<Key>& called) {
  called.push_back(key_of(node));
  const auto add_graph = [&](const onnx::GraphProto& graph) {
    for (const onnx::NodeProto& inner : graph.node()) add_called(inner, called);
  };
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (attribute.has_g()) add_graph(attribute.g());
    for (const onnx::GraphProto& graph : attribute.graphs()) add_graph(graph);
  }
}

class Inliner {
 public:
  Inliner(onnx::ModelProto& model, const std::string& source) : model_(model), source_(source) {
    for (const onnx::FunctionProto& function : model.functions())
      functions_.emplace(key_of(function), &function);
  }

  void run() {
    values_.take_values(model_.graph());
    for (const onnx::NodeProto& node : model_.graph().node()) nodes_.take(node.name());
    most_ = static_cast<std::size_t>(model_.graph().node_size());
    for (const auto& [key, function] : functions_) most_ += static_cast<std::size_t>(function->node_size());
    most_ = std::min(kMostNodes, kMostGrowth * most_);
    most_bytes_ = kLeastBytes + 4 * model_.ByteSizeLong();
    Nodes nodes;
    for (onnx::NodeProto& node : *model_.mutable_graph()->mutable_node()) {
      if (const onnx::FunctionProto* function = called_by(node)) {
        expand(node, *function, nodes);
      } else {
        nodes.Add()->Swap(&node);
      }
    }
    model_.mutable_graph()->mutable_node()->Swap(&nodes);
    for (const auto& [domain, version] : imports_) import_domain(model_, domain, version);
    drop_uncalled();
  }

 private:
  [[nodiscard]] const onnx::FunctionProto* called_by(const onnx::NodeProto& node) const {
    const auto found = functions_.find(key_of(node));
    return found == functions_.end() ? nullptr : found->second;
  }

  void expand(const onnx::NodeProto& call, const onnx::FunctionProto& function, Nodes& nodes);
  void write(const onnx::NodeProto& node, const Names& names, const std::string& prefix,
             const Attributes& attributes, onnx::NodeProto& out);
  void write(const onnx::GraphProto& graph, Names names, const std::string& prefix,
             const Attributes& attributes, onnx::GraphProto& out);
  // Of what is written; throw InputError where it is too much.
  void count(const onnx::NodeProto& node, const std::string& prefix);
  void count_bytes(std::size_t bytes);
  void drop_uncalled();

  onnx::ModelProto& model_;
  const std::string& source_;
  std::map<Key, const onnx::FunctionProto*> functions_;
  std::vector<const onnx::FunctionProto*> inside_;  // the functions that are being expanded
  NamePool values_;
  NamePool nodes_;
  std::map<std::string, std::int64_t> imports_;  // of the functions that were put in place
  std::size_t written_ = 0;
  std::size_t most_ = 0;
  std::size_t bytes_ = 0;
  std::size_t most_bytes_ = 0;
};

// `call` names values of the graph already.
void Inliner::expand(const onnx::NodeProto& call, const onnx::FunctionProto& function, Nodes& nodes) {
  const std::string name = call_name(call);
  if (std::ranges::find(inside_, &function) != inside_.end()) {
    throw InputError(fmt::format("{}: the function {} calls itself", source_, function.name()));
  }
  if (inside_.size() == kDeepest)
    throw InputError(fmt::format("{}: functions call each other more than {} deep", source_, kDeepest));
  if (call.input_size() > function.input_size() || call.output_size() > function.output_size()) {
    throw InputError(
        fmt::format("{}: {} calls the function {} with {} operands for {} results; it has {} and {}", source_,
                    name, function.name(), call.input_size(), call.output_size(), function.input_size(),
                    function.output_size()));
  }
  inside_.push_back(&function);
  for (const onnx::OperatorSetIdProto& set : function.opset_import())
    imports_.emplace(short_domain(set.domain()), set.version());
  const std::string prefix = name + "/";
  Names names;
  for (int i = 0; i < function.input_size(); ++i)
    names[function.input(i)] = i < call.input_size() ? call.input(i) : "";
  std::vector<std::pair<std::string, std::string>>
      handed_through;  // an input that is an output: value, output
  for (int i = 0; i < function.output_size(); ++i) {
    const std::string given = i < call.output_size() ? call.output(i) : "";
    const auto [known, is_new] = names.emplace(function.output(i), given);
    if (is_new && given.empty()) known->second = values_.free_name(prefix + function.output(i));
    if (is_new || given.empty()) continue;
    if (known->second.empty()) {
      throw InputError(fmt::format("{}: the function {} gives out its operand {}, which {} leaves out",
                                   source_, function.name(), function.output(i), name));
    }
    handed_through.emplace_back(known->second, given);
  }
  const std::vector<onnx::AttributeProto> defaults = defaults_of(function);
  Attributes attributes;
  for (const onnx::AttributeProto& attribute : call.attribute())
    attributes.emplace(attribute.name(), &attribute);
  for (const onnx::AttributeProto& attribute : defaults) attributes.emplace(attribute.name(), &attribute);
  for (const onnx::NodeProto& inner : function.node()) {
    for (const std::string& output : inner.output()) {
      if (!output.empty() && !names.contains(output))
        names.emplace(output, values_.free_name(prefix + output));
    }
  }
  for (const onnx::NodeProto& inner : function.node()) {
    onnx::NodeProto node;
    write(inner, names, prefix, attributes, node);
    if (const onnx::FunctionProto* called = called_by(node)) {
      expand(node, *called, nodes);
    } else {
      nodes.Add()->Swap(&node);
    }
  }
  for (const auto& [value, output] : handed_through) {
    onnx::NodeProto& identity = *nodes.Add();
    identity.set_op_type("Identity");
    identity.set_name(nodes_.free_name(prefix + output));
    identity.add_input(value);
    identity.add_output(output);
  }
  inside_.pop_back();
}

void Inliner::count_bytes(std::size_t bytes) {
  bytes_ += bytes;
  if (bytes_ > most_bytes_) {
    throw InputError(fmt::format("{}: with its functions put in place the graph has more than {} bytes",
                                 source_, most_bytes_));
  }
}

void Inliner::count(const onnx::NodeProto& node, const std::string& prefix) {
  if (++written_ > most_) {
    throw InputError(
        fmt::format("{}: with its functions put in place the graph has more than {} nodes", source_, most_));
  }
  const auto names = static_cast<std::size_t>(1 + node.input_size() + node.output_size());
  count_bytes(names * prefix.size());
}

void Inliner::write(const onnx::NodeProto& node, const Names& names, const std::string& prefix,
                    const Attributes& attributes, onnx::NodeProto& out) {
  count(node, prefix);
  copy_labels(node, out);
  out.set_name(nodes_.free_name(prefix + (node.name().empty() ? node.op_type() : node.name())));
  for (const std::string& input : node.input()) out.add_input(renamed(names, input));
  for (const std::string& output : node.output()) out.add_output(renamed(names, output));
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    const onnx::AttributeProto* value = &attribute;
    if (!attribute.ref_attr_name().empty()) {
      const auto found = attributes.find(attribute.ref_attr_name());
      if (found == attributes.end()) continue;  // not given: as if it were not there
      value = found->second;
    }
    count_bytes(value->ByteSizeLong());
    onnx::AttributeProto& copy = *out.add_attribute();
    copy = *value;
    copy.set_name(attribute.name());
    if (value != &attribute) continue;  // names values of the calling graph, where it has a graph
    if (attribute.has_g()) write(attribute.g(), names, prefix, attributes, *copy.mutable_g());
    for (int i = 0; i < attribute.graphs_size(); ++i)
      write(attribute.graphs(i), names, prefix, attributes, *copy.mutable_graphs(i));
  }
}

// `out` is a copy of the graph. Its own values get new names, too: they may be names of the calling graph.
void Inliner::write(const onnx::GraphProto& graph, Names names, const std::string& prefix,
                    const Attributes& attributes, onnx::GraphProto& out) {
  const auto own = [&](const std::string& value) {
    if (!value.empty()) names[value] = values_.free_name(prefix + value);
  };
  for (const auto& input : graph.input()) own(input.name());
  for (const auto& tensor : graph.initializer()) own(tensor.name());
  for (const onnx::NodeProto& node : graph.node()) {
    for (const std::string& output : node.output()) own(output);
  }
  for (auto& input : *out.mutable_input()) input.set_name(renamed(names, input.name()));
  for (auto& tensor : *out.mutable_initializer()) tensor.set_name(renamed(names, tensor.name()));
  for (auto& output : *out.mutable_output()) output.set_name(renamed(names, output.name()));
  out.clear_value_info();
  out.clear_node();
  for (const onnx::NodeProto& node : graph.node()) write(node, names, prefix, attributes, *out.add_node());
}

void Inliner::drop_uncalled() {
  std::vector<Key> called;
  for (const onnx::NodeProto& node : model_.graph().node()) add_called(node, called);
  std::set<Key> needed;
  while (!called.empty()) {
    const Key key = std::move(called.back());
    called.pop_back();
    const auto found = functions_.find(key);
    if (found == functions_.end() || !needed.insert(key).second) continue;
    for (const onnx::NodeProto& node : found->second->node()) add_called(node, called);
  }
  google::protobuf::RepeatedPtrField<onnx::FunctionProto> kept;
  for (onnx::FunctionProto& function : *model_.mutable_functions()) {
    if (needed.contains(key_of(function))) kept.Add()->Swap(&function);
  }
  functions_.clear();
  model_.mutable_functions()->Swap(&kept);
}

}  // namespace

void inline_local_functions(onnx::ModelProto& model, const std::string& source) {
  if (model.functions_size() > 0) Inliner(model, source).run();
}

}  // namespace qvl
