#include "onnx/read/model_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <tuple>
#include <utility>

#include "core/convert.h"
#include "onnx/element_type.h"
#include "onnx/external_data.h"
#include "onnx/operator_set.h"
#include "onnx/read/model_graph_state.h"
#include "onnx/read/node_parts.h"
#include "onnx/read/random_nodes.h"
#include "onnx/read/value_types.h"
#include "onnx/rewrite/local_functions.h"
#include "onnx/rewrite/plain_initializers.h"
#include "qvl/error.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kOldestOpset = 11;                            // DynamicQuantizeLinear came with it
constexpr std::uint64_t kLargeTableBytes = std::uint64_t{1} << 20U;  // from here on a table is not widened
constexpr std::size_t kReadBytes = std::size_t{1} << 20U;

using State = ModelGraph::State;

// A file beside the model; nothing may lead out of its folder.
const State::DataFile& data_file(State& s, const std::string& location, const std::string& tensor) {
  const auto known = s.data_files.find(location);
  if (known != s.data_files.end()) return known->second;
  const fs::path relative(location);
  const bool inside = !location.empty() && relative.is_relative() &&
                      std::ranges::none_of(relative, [](const fs::path& part) { return part == ".."; });
  if (!inside) {
    throw InputError(
        fmt::format("{}: the data of {} lies in \"{}\"; a file in the model's folder is expected",
                    s.path.string(), tensor, location));
  }
  const fs::path path = s.path.parent_path() / relative;
  MappedFile file(path);
  const std::uint64_t size = file.bytes().size();
  return s.data_files.emplace(location, State::DataFile{path, size, std::move(file)}).first->second;
}

void find_external(State& s, const onnx::TensorProto& tensor, State::Place& place) {
  const ExternalPlace stated = external_place(tensor, s.path.string());
  place.offset_bytes = stated.offset_bytes;
  const std::uint64_t length = stated.length_bytes.value_or(place.constant.size_bytes);
  const State::DataFile& file = data_file(s, stated.file, tensor.name());
  if (length != place.constant.size_bytes || place.offset_bytes > file.size_bytes ||
      length > file.size_bytes - place.offset_bytes) {
    throw InputError(fmt::format(
        "{}: {} {} {} should have {} bytes at {} of {}, which has {} and gives it {}", s.path.string(),
        tensor.name(), name(place.constant.stored), to_string(place.constant.shape),
        place.constant.size_bytes, place.offset_bytes, stated.file, file.size_bytes, length));
  }
  place.file = &file;
}

void place_initializers(State& s) {
  for (int i = 0; i < s.model.graph().initializer_size(); ++i) {
    const onnx::TensorProto& tensor = s.model.graph().initializer(i);
    s.constants.insert(tensor.name());
    const auto dtype = dtype_from_onnx(tensor.data_type());
    if (!dtype) {  // strings, 4-bit numbers: they come along in slices, but are never read here
      if (is_external(tensor)) (void)data_file(s, external_file(tensor), tensor.name());
      continue;
    }
    State::Place place;
    place.initializer = i;
    place.constant = {tensor.name(), *dtype, Shape(tensor.dims().begin(), tensor.dims().end()), 0,
                      is_external(tensor)};
    const auto count = element_count(place.constant.shape);
    if (!count || __builtin_mul_overflow(static_cast<std::uint64_t>(*count), size_bytes(*dtype),
                                         &place.constant.size_bytes)) {
      throw InputError(fmt::format("{}: {} cannot have the shape {}", s.path.string(), tensor.name(),
                                   to_string(place.constant.shape)));
    }
    if (place.constant.external) find_external(s, tensor, place);
    s.places[tensor.name()] = std::move(place);
  }
}

// Initializers that hold the same numbers: others than the first of them are noted. Those in other files are
// only compared by place, which costs no reading.
void find_alike(State& s) {
  using Key = std::tuple<DType, std::uint64_t, const State::DataFile*, std::uint64_t>;
  std::map<Key, std::vector<std::string>> known;
  std::map<int, std::string> bytes;  // of typed values, by initializer
  const auto values = [&](const State::Place& place) -> std::string_view {
    const onnx::TensorProto& tensor = s.model.graph().initializer(place.initializer);
    if (tensor.has_raw_data()) return tensor.raw_data();
    std::string& held = bytes[place.initializer];
    if (held.empty()) held = tensor_bytes(tensor, place.constant.stored, s.path.string());
    return held;
  };
  const std::hash<std::string_view> hash;
  const auto same = [&](const State::Place& a, const State::Place& b) { return values(a) == values(b); };
  std::map<std::pair<Key, std::size_t>, std::vector<std::string>> hashed;
  for (const onnx::TensorProto& tensor : s.model.graph().initializer()) {
    const auto found = s.places.find(tensor.name());
    if (found == s.places.end() || !is_floating(found->second.constant.stored)) continue;
    const State::Place& place = found->second;
    if (place.constant.size_bytes == 0) continue;
    known[{place.constant.stored, place.constant.size_bytes, place.file, place.offset_bytes}].push_back(
        tensor.name());
  }
  for (const auto& [key, names] : known) {
    if (names.size() < 2) continue;
    if (std::get<2>(key) != nullptr) {
      for (const std::string& name : names) s.alike.emplace(name, names.front());
      continue;
    }
    for (const std::string& name : names) {
      const State::Place& place = s.places.at(name);
      auto& others = hashed[{key, hash(values(place))}];
      const auto first =
          std::ranges::find_if(others, [&](const std::string& o) { return same(s.places.at(o), place); });
      if (first == others.end()) {
        others.push_back(name);
      } else {
        s.alike.emplace(name, *first);
      }
    }
  }
}

// Gather from a large half-precision table: the table stays as it is, what comes out is widened.
void keep_tables(State& s) {
  onnx::GraphProto& graph = *s.model.mutable_graph();
  google::protobuf::RepeatedPtrField<onnx::NodeProto> nodes;
  for (onnx::NodeProto& node : *graph.mutable_node()) {
    onnx::NodeProto& copy = *nodes.Add();
    copy.Swap(&node);
    if (copy.op_type() != "Gather" || !copy.domain().empty() || copy.input_size() < 2) continue;
    const auto found = s.places.find(copy.input(0));
    if (found == s.places.end() || !is_half(onnx_dtype(found->second.constant.stored)) ||
        found->second.constant.size_bytes < kLargeTableBytes)
      continue;
    State::Place place = found->second;
    place.keep_stored = true;
    const std::string table = copy.input(0) + "/as_stored";
    const std::string wide = copy.output(0);
    s.constants.insert(table);
    s.places.insert_or_assign(table, std::move(place));
    s.renamed.emplace(table, copy.input(0));
    const auto alike = s.alike.find(copy.input(0));
    s.alike.emplace(table, alike == s.alike.end() ? copy.input(0) : alike->second);
    s.renamed.emplace(wide + "/as_stored", wide);
    copy.set_input(0, table);
    copy.set_output(0, wide + "/as_stored");
    onnx::NodeProto& cast = *nodes.Add();
    cast.set_op_type("Cast");
    cast.set_name(copy.name() + "/widen");
    cast.add_input(copy.output(0));
    cast.add_output(wide);
    set_integer(cast, "to", onnx::TensorProto::FLOAT);
  }
  graph.mutable_node()->Swap(&nodes);
}

// A Dropout that has a training_mode: with constant operands, too, it may draw.
bool is_undecided(const onnx::NodeProto& node) {
  return node.op_type() == "Dropout" && node.input_size() > 2 && !node.input(2).empty();
}

void list_nodes(State& s, const std::vector<std::string>& draws) {
  const std::unordered_set<std::string> drawn(draws.begin(), draws.end());
  for (const onnx::NodeProto& node : s.model.graph().node()) {
    s.nodes.push_back({node.name(),
                       node.op_type(),
                       node.domain() == "ai.onnx" ? "" : node.domain(),
                       {node.input().begin(), node.input().end()},
                       {node.output().begin(), node.output().end()},
                       captured_values(node),
                       {}});
    ModelGraph::Node& listed = s.nodes.back();
    std::ranges::copy_if(listed.outputs, std::back_inserter(listed.drawn),
                         [&](const std::string& output) { return drawn.contains(output); });
    const auto constant = [&](const std::string& value) {
      return value.empty() || s.constants.contains(value);
    };
    const bool fixed = listed.drawn.empty() && !is_undecided(node) &&
                       std::ranges::all_of(listed.inputs, constant) &&
                       std::ranges::all_of(listed.captured, constant);
    for (const std::string& output : listed.outputs) {
      if (output.empty()) continue;
      if (!s.makers.emplace(output, s.nodes.size() - 1).second) {
        throw InputError(fmt::format("{}: two nodes make the value {}", s.path.string(), output));
      }
      // Of no node so far: else what it is computed from would have no end.
      if (s.constants.contains(output)) {
        throw InputError(fmt::format("{}: node {} makes the value {}, which is an initializer",
                                     s.path.string(), listed.name, output));
      }
      if (fixed) s.constants.insert(output);
    }
  }
}

ModelGraph::Port port_of(const onnx::ValueInfoProto& value) {
  const auto& type = value.type().tensor_type();
  ModelGraph::Port port{value.name(), dtype_from_onnx(type.elem_type()), {}};
  for (const auto& dim : type.shape().dim()) port.shape.push_back(dim.has_dim_value() ? dim.dim_value() : -1);
  return port;
}

void convert_to_f32(DType stored, std::span<const std::byte> source, std::span<float> destination) {
  if (stored != DType::f64) {
    convert(stored, source, DType::f32, std::as_writable_bytes(destination));
    return;
  }
  for (std::size_t i = 0; i < destination.size(); ++i) {
    double value = 0;
    std::memcpy(&value, source.data() + i * sizeof(double), sizeof(double));
    destination[i] = static_cast<float>(value);
  }
}

}  // namespace

const State::Place& State::place(std::string_view constant) const {
  const auto found = places.find(std::string(constant));
  if (found == places.end()) throw InputError(fmt::format("{}: no constant {}", path.string(), constant));
  return found->second;
}

void State::DataFile::read(std::uint64_t offset_bytes, std::span<std::byte> destination) const {
  if (!mapped) throw UsageError(fmt::format("{} is not written yet: it has no bytes", path.string()));
  mapped->read(offset_bytes, destination);
}

ModelGraph::ModelGraph(const fs::path& path, const std::vector<FixedBranch>& fixed)
    : ModelGraph(ParsedModel(path), fixed) {}

ModelGraph::ModelGraph(ParsedModel parsed, const std::vector<FixedBranch>& fixed)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.path = parsed.path();
  const fs::path& path = s.path;
  s.model = std::move(parsed.state().model);
  for (const auto& [file, size] : parsed.state().unwritten)
    s.data_files[file] = {path.parent_path() / file, size, std::nullopt};
  inline_local_functions(s.model, path.string());
  put_branches_in_place(s.model, fixed, path.string());
  s.opset = standard_opset(s.model);
  if (s.opset < kOldestOpset) {
    throw InputError(
        fmt::format("{} is of opset {}; {} or newer is needed (onnx.version_converter makes one)",
                    path.string(), s.opset, kOldestOpset));
  }
  make_plain_initializers(s.model, path.string());
  s.undrawable = undrawable_nodes(s.model.graph());
  widen_types(*s.model.mutable_graph());
  for (onnx::FunctionProto& function : *s.model.mutable_functions()) widen_types(function);
  const std::vector<std::string> draws = split_draws(*s.model.mutable_graph());
  place_initializers(s);
  find_alike(s);
  s.types = value_types(s.model);
  s.model.mutable_graph()->clear_value_info();
  keep_tables(s);
  s.body_units = units_in_bodies(s.model.graph());
  list_nodes(s, draws);
  for (const auto& input : s.model.graph().input()) {
    if (s.constants.contains(input.name())) {
      s.defaults.insert(input.name());
    } else {
      s.inputs.push_back(port_of(input));
    }
  }
  for (const auto& output : s.model.graph().output()) s.outputs.push_back(port_of(output));
  if (s.outputs.empty()) throw InputError(fmt::format("{} has no output", path.string()));
}

ModelGraph::~ModelGraph() = default;
ModelGraph::ModelGraph(ModelGraph&&) noexcept = default;
ModelGraph& ModelGraph::operator=(ModelGraph&&) noexcept = default;

const fs::path& ModelGraph::path() const noexcept { return state_->path; }
std::int64_t ModelGraph::opset() const noexcept { return state_->opset; }
const std::vector<ModelGraph::Node>& ModelGraph::nodes() const noexcept { return state_->nodes; }
const std::vector<ModelGraph::Port>& ModelGraph::inputs() const noexcept { return state_->inputs; }
const std::vector<ModelGraph::Port>& ModelGraph::outputs() const noexcept { return state_->outputs; }

const std::vector<BodyUnit>& ModelGraph::body_units() const noexcept { return state_->body_units; }
const std::vector<std::string>& ModelGraph::undrawable() const noexcept { return state_->undrawable; }

std::vector<fs::path> ModelGraph::files() const {
  std::vector<fs::path> files{state_->path};
  for (const auto& [location, file] : state_->data_files) files.push_back(file.path);
  return files;
}

const ModelGraph::Constant* ModelGraph::constant(std::string_view value) const {
  const auto found = state_->places.find(std::string(value));
  return found == state_->places.end() ? nullptr : &found->second.constant;
}

bool ModelGraph::is_constant(std::string_view value) const {
  return state_->constants.contains(std::string(value));
}

bool ModelGraph::has_default(std::string_view input) const {
  return state_->defaults.contains(std::string(input));
}

const std::string& ModelGraph::first_alike(const std::string& value) const {
  const auto found = state_->alike.find(value);
  return found == state_->alike.end() ? value : found->second;
}

std::optional<std::size_t> ModelGraph::maker_of(std::string_view value) const {
  const auto found = state_->makers.find(std::string(value));
  if (found == state_->makers.end()) return std::nullopt;
  return found->second;
}

const std::string& ModelGraph::name_in_file(const std::string& value) const {
  const auto found = state_->renamed.find(value);
  return found == state_->renamed.end() ? value : found->second;
}

std::int64_t ModelGraph::attribute(std::size_t node, std::string_view name, std::int64_t missing) const {
  return integer_of(state_->model.graph().node(static_cast<int>(node)), name, missing);
}

std::vector<std::int64_t> ModelGraph::attributes(std::size_t node, std::string_view name) const {
  const auto* const found = find_attribute(state_->model.graph().node(static_cast<int>(node)), name);
  if (found == nullptr) return {};
  return {found->ints().begin(), found->ints().end()};
}

void ModelGraph::read_external(const std::string& file, std::uint64_t offset_bytes,
                               std::span<std::byte> destination) const {
  const auto found = state_->data_files.find(file);
  if (found == state_->data_files.end())
    throw InputError(fmt::format("{}: no constant of the graph lies in {}", path().string(), file));
  found->second.read(offset_bytes, destination);
}

void ModelGraph::read_f32(std::string_view constant, std::uint64_t first,
                          std::span<float> destination) const {
  const State::Place& place = state_->place(constant);
  const DType stored = place.constant.stored;
  const std::size_t width = size_bytes(stored);
  if (!is_floating(stored)) {
    throw InputError(fmt::format("{}: {} is {}; floating-point numbers are expected", path().string(),
                                 constant, qvl::name(stored)));
  }
  const std::uint64_t count = place.constant.size_bytes / width;
  if (first > count || destination.size() > count - first)
    throw UsageError(fmt::format("{}: {} has {} elements only", path().string(), constant, count));
  if (place.file == nullptr) {
    const onnx::TensorProto& tensor = state_->model.graph().initializer(place.initializer);
    const std::string typed = tensor.has_raw_data() ? "" : tensor_bytes(tensor, stored, path().string());
    const std::span<const char> bytes(tensor.has_raw_data() ? tensor.raw_data() : typed);
    if (bytes.size() != place.constant.size_bytes) {
      throw InputError(fmt::format("{}: the constant {} has {} bytes; {} are expected", path().string(),
                                   constant, bytes.size(), place.constant.size_bytes));
    }
    convert_to_f32(stored, std::as_bytes(bytes).subspan(first * width, destination.size() * width),
                   destination);
    return;
  }
  if (stored == DType::f32) {
    place.file->read(place.offset_bytes + first * width, std::as_writable_bytes(destination));
    return;
  }
  std::vector<std::byte> block(std::min(kReadBytes, destination.size() * width));
  const std::size_t step = block.size() / width;
  for (std::size_t done = 0; done < destination.size(); done += step) {
    const std::span<float> part = destination.subspan(done, std::min(step, destination.size() - done));
    const std::span<std::byte> bytes = std::span(block).first(part.size() * width);
    place.file->read(place.offset_bytes + (first + done) * width, bytes);
    convert_to_f32(stored, bytes, part);
  }
}

}  // namespace qvl
