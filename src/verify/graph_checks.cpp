#include "verify/graph_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "core/mapped_file.h"
#include "folder/artifact_names.h"
#include "models/model.h"
#include "onnx/read/model_summary.h"
#include "onnx/rewrite/quantized_graph.h"
#include "qvl/version.h"

namespace qvl {
namespace {

constexpr std::size_t kPaddingBlockBytes = std::size_t{1} << 20U;

std::string shown(const std::vector<std::string>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

void require_ports(const char* side, const std::vector<ModelSummary::Port>& found,
                   const std::vector<PortSpec>& expected) {
  for (const PortSpec& port : expected) {
    const auto it = std::ranges::find(found, port.name, &ModelSummary::Port::name);
    const std::string wanted = fmt::format("{} {} {}", port.name, name(port.dtype), shown(port.shape));
    if (it == found.end()) throw InputError(fmt::format("no {} {}", side, wanted));
    if (it->shape != port.shape || it->dtype != name(port.dtype)) {
      throw InputError(
          fmt::format("{} {} {} {}; {} is expected", side, it->name, it->dtype, shown(it->shape), wanted));
    }
  }
  if (found.size() != expected.size()) {
    throw InputError(fmt::format("{} {}s; {} are expected", found.size(), side, expected.size()));
  }
}

void require_same_ports(const char* side, const std::vector<ModelSummary::Port>& found,
                        const std::vector<ManifestPort>& listed) {
  const auto same = [](const ModelSummary::Port& a, const ManifestPort& b) {
    return a.name == b.name && a.dtype == b.dtype && a.shape == b.shape;
  };
  if (!std::ranges::equal(found, listed, same))
    throw InputError(fmt::format("the manifest lists other {}s than the graph has", side));
}

DType dtype_of_port(const std::vector<ModelSummary::Port>& ports, std::string_view name, DType otherwise) {
  for (const ModelSummary::Port& port : ports) {
    if (port.name == name) return dtype_from_name(port.dtype).value_or(otherwise);
  }
  return otherwise;
}

// The options that the artifact was exported with, told from its manifest entry and its ports.
ArtifactOptions options_of(const ManifestArtifact& a, const ModelSummary& summary) {
  ArtifactOptions options;
  if (a.image_height_pixels > 0) options.picture = {a.image_height_pixels, a.image_width_pixels};
  options.head = a.tied_head;
  if (dtype_of_port(summary.outputs, "logits", DType::f16) == DType::f32) options.text_dtype = DType::f32;
  if (dtype_of_port(summary.inputs, "attention_mask", DType::i64) == DType::boolean)
    options.mask_dtype = DType::boolean;
  return options;
}

// A checkpoint whose head differs from the embedding is not tied, whatever its config says.
std::shared_ptr<const Model> model_of(const ManifestArtifact& a, const std::shared_ptr<const Model>& model) {
  const auto own_head = [](const TensorReport& t) {
    return t.name == "lm_head.weight" && t.source == t.name;
  };
  return std::ranges::any_of(a.tensors, own_head) ? model->with_own_head() : model;
}

// One artifact's checks.
class GraphCheck {
 public:
  GraphCheck(Subject& subject, SubjectArtifact& artifact) : subject_(subject), artifact_(artifact) {}

  // "manifest.NAME"
  Check tensors() {
    artifact_.probe = std::make_unique<ModelProbe>(subject_.place(a().file));
    require_same_tensors();
    artifact_.agrees = true;
    const std::uint64_t padding = require_layout();
    Check check = passed(fmt::format(
        "its tensors are the graph's, aligned and apart; the {} bytes between them are zero", padding));
    check.tensors = a().tensors.size();
    check.bytes = a().data_bytes;
    return check;
  }

  // "graph.NAME"
  Check graph() {
    if (!subject_.configs) return skipped("the configs cannot be read");
    const std::filesystem::path place = subject_.place(a().file);
    OnnxModel::check(place);
    const ModelSummary summary = summarize_model(artifact_.probe->model());
    const auto model = model_of(a(), subject_.configs->model);
    const ArtifactOptions options = options_of(a(), summary);
    const ArtifactSpec spec = spec_of(*model, subject_.manifest.set, a().artifact, options);
    require_contract(summary, options, spec);
    artifact_.runnable = artifact_.whole && artifact_.agrees;
    const std::string good =
        fmt::format("valid ONNX, opset {}; inputs and outputs are the contract's", summary.opset);
    if (summary.producer != "qvl " QVL_VERSION) {
      return passed(fmt::format("{}; made by {}, so not compared with the graph that qvl {} builds", good,
                                summary.producer, QVL_VERSION));
    }
    auto rebuilt = std::make_unique<OnnxModel>(spec.build(model->tensors(options.head), {}));
    if (!subject_.manifest.plan.empty()) {
      artifact_.rebuilt = std::move(rebuilt);
      return passed(good +
                    "; quantized, so its nodes are not compared with those that qvl builds from config.json");
    }
    if (const auto difference = artifact_.probe->difference_from(*rebuilt)) {
      artifact_.runnable = false;
      return failed(fmt::format("not the graph that qvl builds from config.json: {}", *difference));
    }
    artifact_.rebuilt = std::move(rebuilt);
    std::int64_t nodes = 0;
    for (const auto& [op, count] : summary.ops) nodes += count;
    return passed(
        fmt::format("{}; its {} nodes and {} initializers are those that qvl builds from config.json", good,
                    nodes, summary.initializers.size()));
  }

 private:
  [[nodiscard]] const ManifestArtifact& a() const { return artifact_.manifest; }

  void require_same_tensors() const {
    std::map<std::string_view, const ModelProbe::External*> by_name;
    for (const ModelProbe::External& e : artifact_.probe->external_tensors()) {
      if (e.data_file != a().data_file)
        throw InputError(
            fmt::format("{} lies in \"{}\"; {} is expected", e.name, e.data_file, a().data_file));
      if (!by_name.emplace(e.name, &e).second)
        throw InputError(fmt::format("the graph has two initializers {}", e.name));
    }
    for (const TensorReport& t : a().tensors) {
      const auto found = by_name.find(t.name);
      if (found == by_name.end())
        throw InputError(fmt::format("the manifest lists {}, which the graph does not have", t.name));
      const ModelProbe::External& e = *found->second;
      if (e.dtype != name(t.dtype) || e.shape != t.shape || e.offset_bytes != t.offset_bytes ||
          e.size_bytes != t.size_bytes) {
        throw InputError(fmt::format(
            "{} is {} {} at byte {} with {} bytes in the graph, {} {} at {} with {} in the manifest", t.name,
            e.dtype, to_string(e.shape), e.offset_bytes, e.size_bytes, name(t.dtype), to_string(t.shape),
            t.offset_bytes, t.size_bytes));
      }
      by_name.erase(found);
    }
    if (!by_name.empty()) {
      throw InputError(fmt::format("the graph has {}, which the manifest does not list, and {} more",
                                   by_name.begin()->first, by_name.size() - 1));
    }
  }

  // Bytes of the data file that belong to no tensor.
  std::uint64_t require_layout() const {
    std::vector<const TensorReport*> order;
    for (const TensorReport& t : a().tensors) order.push_back(&t);
    std::ranges::sort(order, {}, [](const TensorReport* t) { return t->offset_bytes; });
    if (!artifact_.whole) throw InputError("its files are missing or cut");
    const MappedFile data(subject_.place(a().data_file));
    const std::uint64_t end = data.bytes().size();
    std::uint64_t at = 0;
    std::uint64_t padding = 0;
    const TensorReport* previous = nullptr;
    for (const TensorReport* t : order) {
      const auto count = element_count(t->shape);
      if (!count || t->size_bytes / size_bytes(t->dtype) != static_cast<std::uint64_t>(*count) ||
          t->size_bytes % size_bytes(t->dtype) != 0) {
        throw InputError(fmt::format("{} {} {} cannot have {} bytes", t->name, name(t->dtype),
                                     to_string(t->shape), t->size_bytes));
      }
      const std::uint64_t step = subject_.manifest.plan.empty() ? OnnxModel::kAlignmentBytes
                                                                : QuantizedGraph::alignment_of(t->size_bytes);
      if (t->offset_bytes % step != 0)
        throw InputError(fmt::format("{} begins at byte {}, which is not a multiple of {}", t->name,
                                     t->offset_bytes, step));
      const bool same_bytes = previous != nullptr && t->offset_bytes == previous->offset_bytes &&
                              t->size_bytes == previous->size_bytes;
      if (same_bytes) continue;  // one weight in two shapes
      if (t->offset_bytes < at) throw InputError(fmt::format("{} overlaps the tensor before it", t->name));
      if (t->offset_bytes > end || t->size_bytes > end - t->offset_bytes)
        throw InputError(fmt::format("{} lies beyond the end of {}", t->name, a().data_file));
      padding += require_zero(data, at, t->offset_bytes);
      at = t->offset_bytes + t->size_bytes;
      previous = t;
    }
    return padding + require_zero(data, at, end);
  }

  std::uint64_t require_zero(const MappedFile& data, std::uint64_t begin, std::uint64_t end) const {
    std::vector<std::byte> block;
    for (std::uint64_t at = begin; at < end; at += block.size()) {
      block.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kPaddingBlockBytes, end - at)));
      data.read(at, block);
      const auto wrong = std::ranges::find_if(block, [](std::byte b) { return b != std::byte{0}; });
      if (wrong != block.end()) {
        throw InputError(fmt::format("byte {} of {} lies between tensors and is {:#04x}; 0 is expected",
                                     at + static_cast<std::uint64_t>(wrong - block.begin()), a().data_file,
                                     static_cast<unsigned>(*wrong)));
      }
    }
    return end - begin;
  }

  void require_contract(const ModelSummary& summary, const ArtifactOptions& options,
                        const ArtifactSpec& spec) {
    if (a().image_width_pixels * a().image_height_pixels > kMostPicturePixels) {
      throw InputError(fmt::format("pictures of {} x {} pixels; at most {} pixels are expected",
                                   a().image_width_pixels, a().image_height_pixels, kMostPicturePixels));
    }
    require_ports("input", summary.inputs, spec.inputs);
    require_ports("output", summary.outputs, spec.outputs);
    require_same_ports("input", summary.inputs, a().inputs);
    require_same_ports("output", summary.outputs, a().outputs);
    const bool quantized = !subject_.manifest.plan.empty();
    const auto known = [&](const auto& set) { return quantized && set.first == "com.microsoft"; };
    if (summary.opset != a().opset || !std::ranges::all_of(summary.other_opsets, known)) {
      throw InputError(fmt::format("opset {}{}; {} is expected", summary.opset,
                                   summary.other_opsets.empty() ? "" : " and other operators", a().opset));
    }
    if (!artifact_.kind.encodes_pictures) {
      artifact_.dtype = options.text_dtype;
      artifact_.mask_dtype = options.mask_dtype;
    }
    const std::string file = spec.file(subject_.manifest.stem);
    if (a().file != file || a().data_file != data_file_name(file)) {
      throw InputError(fmt::format("the files are called {} and {}; {} and {} are expected", a().file,
                                   a().data_file, file, data_file_name(file)));
    }
  }

  Subject& subject_;
  SubjectArtifact& artifact_;
};

}  // namespace

void check_graphs(Subject& subject, CheckList& checks) {
  for (SubjectArtifact& artifact : subject.artifacts) {
    const std::string& which = artifact.manifest.artifact;
    GraphCheck check(subject, artifact);
    checks.add("manifest." + which, [&] { return check.tensors(); });
    if (artifact.probe == nullptr) {
      checks.add("graph." + which, failed("the graph cannot be read"));
      continue;
    }
    const bool good = checks.add("graph." + which, [&] { return check.graph(); });
    artifact.runnable = artifact.runnable && good;
  }
}

}  // namespace qvl
