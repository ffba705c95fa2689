#include "verify/graph_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/mapped_file.h"
#include "folder/artifact_names.h"
#include "models/qwen25vl/text_graph.h"
#include "models/qwen25vl/vision_graph.h"
#include "onnx/read/model_summary.h"
#include "onnx/rewrite/quantized_graph.h"
#include "qvl/version.h"

namespace qvl {
namespace {

constexpr std::size_t kPaddingBlockBytes = std::size_t{1} << 20U;

// An input or output as the contract has it. Dimensions that only a run knows go by their name.
struct Port {
  std::string name;
  std::vector<std::string> dtypes;  // any of them
  std::vector<std::string> shape;
};

struct Contract {
  std::vector<Port> inputs;
  std::vector<Port> outputs;
};

Contract contract_of(const ManifestArtifact& a, const ModelConfig& config) {
  const auto number = [](std::int64_t n) { return std::to_string(n); };
  if (a.artifact == Artifact::vision) {
    const std::int64_t side = config.vision.patch_size * config.vision.spatial_merge_size;
    const std::int64_t tokens = a.image_height_pixels / side * (a.image_width_pixels / side);
    return {{{"pixel_values",
              {"F32"},
              {"1", number(config.vision.in_channels), number(a.image_height_pixels),
               number(a.image_width_pixels)}}},
            {{"vision_features", {"F32"}, {number(tokens), number(config.vision.out_hidden_size)}}}};
  }
  const std::vector<std::string> dtypes{"F16", "F32"};
  Contract contract{
      {{"input_ids", {"I64"}, {"batch", "seq"}}, {"attention_mask", {"I64", "BOOL"}, {"batch", "seq"}}},
      {{"logits", dtypes, {"batch", "seq", number(config.text.vocab_size)}}}};
  if (a.artifact == Artifact::text_with_image) {
    contract.inputs.push_back({"image_embeds", dtypes, {"batch", "seq", number(config.text.hidden_size)}});
  }
  return contract;
}

std::string shown(const std::vector<std::string>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

void require_ports(const char* side, const std::vector<ModelSummary::Port>& found,
                   const std::vector<Port>& expected) {
  for (const Port& port : expected) {
    const auto same_name = [&](const ModelSummary::Port& p) { return p.name == port.name; };
    const auto it = std::ranges::find_if(found, same_name);
    const std::string wanted =
        fmt::format("{} {} {}", port.name, fmt::join(port.dtypes, " or "), shown(port.shape));
    if (it == found.end()) throw InputError(fmt::format("no {} {}", side, wanted));
    if (it->shape != port.shape || std::ranges::find(port.dtypes, it->dtype) == port.dtypes.end()) {
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

DType dtype_of_port(const std::vector<ModelSummary::Port>& ports, std::string_view name) {
  for (const ModelSummary::Port& port : ports) {
    if (port.name == name) return dtype_from_name(port.dtype).value_or(DType::f32);
  }
  return DType::f32;
}

// The graph that this version of qvl makes of the same config and options.
OnnxModel build(const SubjectArtifact& artifact, ModelConfig config) {
  const ManifestArtifact& a = artifact.manifest;
  // A checkpoint whose head differs from the embedding is not tied, whatever its config says.
  const auto own_head = [](const TensorReport& t) {
    return t.name == "lm_head.weight" && t.source == t.name;
  };
  if (std::ranges::any_of(a.tensors, own_head)) config.text.tie_word_embeddings = false;
  const TensorTable table(config, a.tied_head);
  if (a.artifact == Artifact::vision) {
    VisionGraphOptions options;
    options.height_pixels = a.image_height_pixels;
    options.width_pixels = a.image_width_pixels;
    return build_vision_graph(config, table, options);
  }
  const std::int64_t side = config.vision.patch_size * config.vision.spatial_merge_size;
  TextGraphOptions options;
  options.dtype = artifact.dtype;
  options.mask_type = artifact.mask_dtype == DType::boolean ? MaskType::boolean : MaskType::int64;
  options.with_image = a.artifact == Artifact::text_with_image;
  options.picture_rows_tokens = a.image_height_pixels / side;
  options.picture_columns_tokens = a.image_width_pixels / side;
  return build_text_graph(config, table, options);
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
    require_contract(summary);
    artifact_.runnable = artifact_.whole && artifact_.agrees;
    const std::string good =
        fmt::format("valid ONNX, opset {}; inputs and outputs are the contract's", summary.opset);
    if (summary.producer != "qvl " QVL_VERSION) {
      return passed(fmt::format("{}; made by {}, so not compared with the graph that qvl {} builds", good,
                                summary.producer, QVL_VERSION));
    }
    auto rebuilt = std::make_unique<OnnxModel>(build(artifact_, subject_.configs->model));
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

  void require_contract(const ModelSummary& summary) {
    if (a().image_width_pixels * a().image_height_pixels > kMostPicturePixels) {
      throw InputError(fmt::format("pictures of {} x {} pixels; at most {} pixels are expected",
                                   a().image_width_pixels, a().image_height_pixels, kMostPicturePixels));
    }
    const Contract contract = contract_of(a(), subject_.configs->model);
    require_ports("input", summary.inputs, contract.inputs);
    require_ports("output", summary.outputs, contract.outputs);
    require_same_ports("input", summary.inputs, a().inputs);
    require_same_ports("output", summary.outputs, a().outputs);
    const bool quantized = !subject_.manifest.plan.empty();
    const auto known = [&](const auto& set) { return quantized && set.first == "com.microsoft"; };
    if (summary.opset != a().opset || !std::ranges::all_of(summary.other_opsets, known)) {
      throw InputError(fmt::format("opset {}{}; {} is expected", summary.opset,
                                   summary.other_opsets.empty() ? "" : " and other operators", a().opset));
    }
    ExportOptions options;
    options.image_width_pixels = a().image_width_pixels;
    options.image_height_pixels = a().image_height_pixels;
    if (a().artifact != Artifact::vision) {
      artifact_.dtype = dtype_of_port(summary.outputs, "logits");
      artifact_.mask_dtype = dtype_of_port(summary.inputs, "attention_mask");
      options.text_in_f32 = artifact_.dtype == DType::f32;
    }
    if (a().artifact == Artifact::text_with_image &&
        dtype_of_port(summary.inputs, "image_embeds") != artifact_.dtype) {
      throw InputError("image_embeds and logits have different dtypes");
    }
    const std::string file = file_name(a().artifact, subject_.manifest.stem, options);
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
    const std::string which = name(artifact.manifest.artifact);
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
