#include "onnx/rewrite/quantized_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <tuple>
#include <unordered_set>

#include "onnx/element_type.h"
#include "onnx/external_data.h"
#include "onnx/operator_set.h"
#include "onnx/read/model_graph_state.h"
#include "onnx/rewrite/branches.h"
#include "onnx/rewrite/local_functions.h"
#include "onnx/rewrite/quantized_graph_state.h"
#include "qvl/error.h"

namespace qvl {
namespace {

std::uint64_t aligned(std::uint64_t bytes, std::uint64_t step) { return (bytes + step - 1) / step * step; }

// An external tensor of the model as a piece without a place in the new file.
QuantizedPiece copied_piece(const onnx::TensorProto& tensor, const std::string& source) {
  QuantizedPiece piece;
  piece.kind = QuantizedPiece::Kind::copied;
  piece.name = piece.source = tensor.name();
  const auto dtype = dtype_from_onnx(tensor.data_type());
  piece.dtype = dtype.value_or(DType::u8);
  piece.shape = Shape(tensor.dims().begin(), tensor.dims().end());
  const ExternalPlace place = external_place(tensor, source);
  piece.source_file = place.file;
  piece.source_offset_bytes = place.offset_bytes;
  const auto count = element_count(piece.shape);
  std::uint64_t expected = 0;
  const bool fits =
      count && dtype &&
      !__builtin_mul_overflow(static_cast<std::uint64_t>(*count), size_bytes(*dtype), &expected);
  piece.size_bytes = place.length_bytes.value_or(expected);
  if ((dtype && (!fits || piece.size_bytes != expected)) || (!dtype && !place.length_bytes)) {
    throw InputError(fmt::format("{}: the external data of {} {} has {} bytes, which does not fit it", source,
                                 tensor.name(), to_string(piece.shape), piece.size_bytes));
  }
  return piece;
}

// Of initializers, and of what Constant nodes hold.
void visit_constants(const onnx::GraphProto& graph,
                     const std::function<void(const std::string& name, const onnx::TensorProto&)>& visit) {
  for (const onnx::TensorProto& tensor : graph.initializer()) visit(tensor.name(), tensor);
  for (const onnx::SparseTensorProto& tensor : graph.sparse_initializer())
    visit(tensor.values().name(), tensor.values());
  for (const onnx::NodeProto& node : graph.node()) {
    if (node.op_type() != "Constant" || node.output_size() != 1) continue;
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.has_t()) visit(node.output(0), attribute.t());
    }
  }
}

}  // namespace

void QuantizedGraph::State::note_places() {
  visit_constants(model.graph(), [&](const std::string& name, const onnx::TensorProto& tensor) {
    if (!is_external(tensor)) return;
    const QuantizedPiece piece = copied_piece(tensor, source);
    places[name] = {piece.source_file, piece.source_offset_bytes};
  });
}

void QuantizedGraph::State::note_kept() {
  visit_constants(model.graph(),
                  [&](const std::string& name, const onnx::TensorProto&) { kept.insert(name); });
}

// What stays comes first, in the model's order; then what is new.
void QuantizedGraph::State::place_all(std::vector<QuantizedPiece>& made) {
  std::unordered_map<std::string, std::uint64_t> offsets;  // of new pieces
  std::map<std::tuple<std::string, std::uint64_t, std::uint64_t>, const QuantizedPiece> copied;
  const auto place = [&](QuantizedPiece piece) {
    piece.offset_bytes = aligned(data_bytes, alignment_of(piece.size_bytes));
    data_bytes = piece.offset_bytes + piece.size_bytes;
    return pieces.emplace_back(std::move(piece));
  };
  visit_tensors(*model.mutable_graph(), [&](onnx::TensorProto& tensor) {
    if (!is_external(tensor)) return;
    QuantizedPiece piece = copied_piece(tensor, source);
    const std::tuple key{piece.source_file, piece.source_offset_bytes, piece.size_bytes};
    const auto known = copied.find(key);
    if (known == copied.end()) {
      piece = copied.emplace(key, place(std::move(piece))).first->second;
    } else {
      piece.offset_bytes = known->second.offset_bytes;
      piece.twin_of = known->second.name;
      pieces.push_back(piece);
    }
    set_external_place(tensor, {"", piece.offset_bytes, piece.size_bytes});
  });
  for (QuantizedPiece& piece : made) {
    onnx::TensorProto& tensor = *model.mutable_graph()->add_initializer();
    tensor.set_name(piece.name);
    tensor.set_data_type(onnx_dtype(piece.dtype));
    for (const std::int64_t dim : piece.shape) tensor.add_dims(dim);
    if (piece.twin_of.empty()) {
      piece = place(std::move(piece));
      offsets.emplace(piece.name, piece.offset_bytes);
    } else {
      piece.offset_bytes = offsets.at(piece.twin_of);
      pieces.push_back(piece);
    }
    set_external_place(tensor, {"", piece.offset_bytes, piece.size_bytes});
  }
  std::ranges::stable_sort(pieces, {}, &QuantizedPiece::offset_bytes);
}

// The graph with the new nodes in place of the old ones, without nodes and initializers that only those took.
void QuantizedNodes::finish() {
  std::vector<onnx::NodeProto> nodes;
  for (int i = 0; i < graph_.node_size(); ++i) {
    const auto found = replaced_.find(i);
    if (found == replaced_.end()) {
      nodes.emplace_back().Swap(graph_.mutable_node(i));
    } else {
      for (onnx::NodeProto& node : found->second) nodes.emplace_back().Swap(&node);
    }
  }
  // From the last node on: each knows then whether somebody takes what it gives. Only what made weights may
  // go: every other node is left alone, used or not.
  std::unordered_set<std::string> freed(freed_operands_.begin(), freed_operands_.end());
  std::unordered_set<std::string> taken;
  for (const auto& output : graph_.output()) taken.insert(output.name());
  std::vector<bool> dropped(nodes.size(), false);
  for (std::size_t i = nodes.size(); i-- > 0;) {
    const auto& outputs = nodes[i].output();
    const bool only_for_weights =
        std::ranges::any_of(outputs, [&](const std::string& o) { return freed.contains(o); });
    const bool used = std::ranges::any_of(outputs, [&](const std::string& o) { return taken.contains(o); });
    dropped[i] = only_for_weights && !used;
    if (dropped[i]) {
      freed.insert(nodes[i].input().begin(), nodes[i].input().end());
      continue;
    }
    taken.insert(nodes[i].input().begin(), nodes[i].input().end());
    for (const std::string& value : captured_values(nodes[i])) taken.insert(value);
  }
  graph_.clear_node();
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!dropped[i]) graph_.add_node()->Swap(&nodes[i]);
  }
  google::protobuf::RepeatedPtrField<onnx::TensorProto> kept;
  for (onnx::TensorProto& tensor : *graph_.mutable_initializer()) {
    if (!freed.contains(tensor.name()) || taken.contains(tensor.name())) kept.Add()->Swap(&tensor);
  }
  graph_.mutable_initializer()->Swap(&kept);
  google::protobuf::RepeatedPtrField<onnx::SparseTensorProto> sparse;
  for (onnx::SparseTensorProto& tensor : *graph_.mutable_sparse_initializer()) {
    const std::string& name = tensor.values().name();
    if (!freed.contains(name) || taken.contains(name)) sparse.Add()->Swap(&tensor);
  }
  graph_.mutable_sparse_initializer()->Swap(&sparse);
  google::protobuf::RepeatedPtrField<onnx::ValueInfoProto>
      inputs;  // opset 11: initializers may be inputs, too
  for (onnx::ValueInfoProto& input : *graph_.mutable_input()) {
    if (!freed.contains(input.name()) || taken.contains(input.name())) inputs.Add()->Swap(&input);
  }
  graph_.mutable_input()->Swap(&inputs);
  if (uses_contrib_) import_domain(model_, kContribDomain, 1);
}

QuantizedGraph::QuantizedGraph(ParsedModel model, std::span<const QuantizedNode> nodes,
                               std::span<const QuantizedTable> tables,
                               std::span<const std::pair<std::string, std::string>> metadata)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.source = model.path().string();
  s.model = std::move(model.state().model);
  inline_local_functions(s.model, s.source);
  put_branches_in_place(s.model, {}, s.source);
  s.note_places();
  QuantizedNodes work(s.model, s.source);
  work.expect(tables);
  for (std::size_t i = 0; i < nodes.size(); ++i) work.replace(nodes[i], i);
  for (std::size_t i = 0; i < tables.size(); ++i) work.replace(tables[i], nodes.size() + i);
  work.finish();
  s.unpacked_bytes = work.unpacked_bytes();
  s.note_kept();
  for (const auto& [key, value] : metadata) {
    onnx::StringStringEntryProto& entry = *s.model.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
  s.place_all(work.pieces());
}

QuantizedGraph::~QuantizedGraph() = default;
QuantizedGraph::QuantizedGraph(QuantizedGraph&&) noexcept = default;
QuantizedGraph& QuantizedGraph::operator=(QuantizedGraph&&) noexcept = default;

const std::vector<QuantizedPiece>& QuantizedGraph::pieces() const noexcept { return state_->pieces; }
std::uint64_t QuantizedGraph::data_bytes() const noexcept { return state_->data_bytes; }
std::uint64_t QuantizedGraph::unpacked_bytes() const noexcept { return state_->unpacked_bytes; }

std::uint64_t QuantizedGraph::alignment_of(std::uint64_t size_bytes) noexcept {
  constexpr std::uint64_t kLarge = std::uint64_t{1} << 20U;
  constexpr std::uint64_t kCacheLine = 64;
  return size_bytes < kLarge ? kCacheLine : OnnxModel::kAlignmentBytes;
}

bool QuantizedGraph::keeps(const std::string& constant) const {
  const State& s = *state_;
  if (s.kept.contains(constant)) return true;
  const auto own = s.places.find(constant);
  return own != s.places.end() && std::ranges::any_of(s.kept, [&](const std::string& other) {
           const auto place = s.places.find(other);
           return place != s.places.end() && place->second == own->second;
         });
}

onnx::ModelProto QuantizedGraph::State::placed_in(const std::string& data_file) const {
  onnx::ModelProto placed = model;
  visit_tensors(*placed.mutable_graph(),
                [&](onnx::TensorProto& tensor) { set_external_file(tensor, data_file); });
  return placed;
}

std::uint64_t QuantizedGraph::file_bytes(const std::string& data_file) const {
  return state_->placed_in(data_file).ByteSizeLong();
}

std::string QuantizedGraph::serialize(const std::string& data_file) const {
  std::string bytes;
  if (!state_->placed_in(data_file).SerializeToString(&bytes)) {
    throw MachineError(fmt::format(
        "{} quantized has more than 2 GiB of constants in its graph; store them as external data first",
        state_->source));
  }
  return bytes;
}

}  // namespace qvl
