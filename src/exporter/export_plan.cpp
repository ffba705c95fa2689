#include "exporter/export_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/disk_space.h"
#include "core/process_memory.h"
#include "exporter/weight_stream.h"
#include "folder/artifact_names.h"
#include "models/model.h"
#include "onnx/parsed_model.h"
#include "onnx/read/model_summary.h"

namespace qvl {
namespace {

// File systems give space in blocks; the common ones' size.
constexpr std::uint64_t kDiskBlockBytes = 4096;
// While ONNX's checker looks at a graph, it, its text and the inferred shapes are held besides ours.
constexpr std::uint64_t kCheckedCopies = 8;
constexpr std::size_t kSha256Digits = 64;

std::uint64_t on_disk(std::uint64_t size_bytes) {
  return (size_bytes + kDiskBlockBytes - 1) / kDiskBlockBytes * kDiskBlockBytes;
}

ArtifactOptions artifact_options(const ExportOptions& options) {
  return {{options.image_height_pixels, options.image_width_pixels},
          options.text_in_f32 ? DType::f32 : DType::f16,
          options.mask_type == MaskType::boolean ? DType::boolean : DType::i64,
          options.tied_head ? TiedHead::shared : TiedHead::own};
}

}  // namespace

ExportPlan::ExportPlan(const ExportOptions& options, ExportSource source)
    : options_(options),
      source_(std::move(source)),
      table_(source_.model->tensors(options.tied_head ? TiedHead::shared : TiedHead::own)) {
  if (options.tied_head && !table_.shares_head()) {
    throw UsageError(
        "--tied-head shares the table of token embeddings with lm_head; this checkpoint's lm_head has a "
        "weight of its own (tie_word_embeddings is false)");
  }
  stem_ = options.stem.empty() ? stem_of(source_.name, *source_.model) : options.stem;
  if (!is_valid_stem(stem_)) {
    throw UsageError(
        "a stem is the first part of file names: letters, digits, '.', '_' and '-', at most 100, and not "
        "'.' first");
  }
  const ArtifactOptions chosen = artifact_options(options);
  for (const std::string& name : options.only) (void)spec_of(*source_.model, options.set, name, chosen);
  for (ArtifactSpec& spec : source_.model->artifacts(options.set, chosen)) {
    const auto& only = options.only;
    if (!only.empty() && std::ranges::find(only, spec.kind.name) == only.end()) continue;
    OnnxModel model = spec.build(table_, metadata_of(spec, chosen));
    const auto twin = twin_of(model);
    std::string file = spec.file(stem_);
    artifacts_.push_back({std::move(spec), std::move(file), std::move(model), twin});
  }
}

std::optional<std::size_t> ExportPlan::twin_of(const OnnxModel& model) const {
  const auto same = [](const ExternalTensor& x, const ExternalTensor& y) {
    return !x.values && !y.values && x.name == y.name && x.dtype == y.dtype && x.shape == y.shape &&
           x.offset_bytes == y.offset_bytes;
  };
  for (std::size_t i = 0; i < artifacts_.size(); ++i) {
    if (std::ranges::equal(artifacts_[i].model.external_tensors(), model.external_tensors(), same)) return i;
  }
  return std::nullopt;
}

Manifest ExportPlan::manifest() const {
  Manifest manifest;
  manifest.set = options_.set;
  manifest.checkpoint = source_.name;
  manifest.fingerprint = source_.fingerprint;
  manifest.stem = stem_;
  manifest.files.emplace();
  for (const ExportSource::SmallFile& file : source_.files)
    manifest.files->push_back({file.name, file.size_bytes, std::string(kSha256Digits, '0')});
  for (const PlannedArtifact& planned : artifacts_) {
    ManifestArtifact a;
    a.artifact = planned.spec.kind.name;
    a.file = planned.file;
    a.data_file = data_file_name(planned.file);
    a.file_sha256 = a.data_sha256 = std::string(kSha256Digits, '0');
    ParsedModel graph(planned.model, a.file, a.data_file);
    a.file_bytes = graph.file_bytes();
    a.data_bytes = planned.model.external_size_bytes();
    const ModelSummary summary = summarize_model(std::move(graph));
    a.opset = summary.opset;
    for (const auto& port : summary.inputs) a.inputs.push_back({port.name, port.dtype, port.shape});
    for (const auto& port : summary.outputs) a.outputs.push_back({port.name, port.dtype, port.shape});
    a.image_width_pixels = options_.image_width_pixels;
    a.image_height_pixels = options_.image_height_pixels;
    a.tied_head = table_.shares_head() ? TiedHead::shared : TiedHead::own;
    a.tensors = planned_tensors(planned.model, table_, source_.tensor);
    manifest.artifacts.push_back(std::move(a));
  }
  return manifest;
}

ExportEstimate ExportPlan::estimate(const Manifest& planned) const {
  return estimate(planned, needs_of(planned));
}

ExportEstimate ExportPlan::estimate(const Manifest& planned, const WritingNeeds& needs) const {
  ExportEstimate estimate;
  const bool shares_blocks = !options_.hard_link && can_share_blocks(options_.out);
  for (std::size_t i = 0; i < artifacts_.size(); ++i) {
    const ManifestArtifact& a = planned.artifacts[i];
    estimate.files.push_back({a.file, a.file_bytes, "", ""});
    PlannedFile data{a.data_file, a.data_bytes, "", ""};
    if (const auto twin = needs.twins[i]) {
      const std::string& other = planned.artifacts[*twin].data_file;
      if (options_.hard_link) data.hard_link_of = other;
      if (shares_blocks) data.shares_blocks_with = other;
    }
    estimate.files.push_back(std::move(data));
  }
  for (const ExportSource::SmallFile& file : source_.files)
    estimate.files.push_back({file.name, file.size_bytes, "", ""});
  const std::uint64_t manifest_bytes = planned.plan.empty()
                                           ? ExistingManifest(options_.out).merged_into(planned).size()
                                           : manifest_text(with_longest_statistics(planned)).size();
  estimate.files.push_back({kManifestName, manifest_bytes, "", ""});
  for (const PlannedFile& file : estimate.files) {
    const bool own_blocks = file.hard_link_of.empty() && file.shares_blocks_with.empty();
    estimate.disk_bytes += own_blocks ? on_disk(file.size_bytes) : 0;
  }
  estimate.disk_available_bytes = free_disk_bytes(options_.out);
  const auto memory = process_memory();
  estimate.memory_bytes = needs.memory_bytes;
  if (memory)
    estimate.memory_bytes = std::max(memory->peak_bytes, memory->resident_bytes + needs.memory_bytes);
  // What is resident already is not asked of the machine again.
  if (const auto available = available_memory_bytes())
    estimate.memory_available_bytes = *available + (memory ? memory->resident_bytes : 0);
  return estimate;
}

// At this point the configs, the tokenizer and the graphs were held; what follows holds the stream's buffers,
// and then one graph in the hands of ONNX's checker.
WritingNeeds ExportPlan::needs_of(const Manifest& manifest) const {
  WritingNeeds needs;
  for (const PlannedArtifact& artifact : artifacts_) needs.twins.push_back(artifact.twin);
  for (const ManifestArtifact& a : manifest.artifacts) {
    needs.memory_bytes =
        std::max({needs.memory_bytes, kCheckedCopies * a.file_bytes,
                  stream_buffer_bytes(plan_stream(a.tensors, a.data_bytes), options_.threads)});
  }
  return needs;
}

void require_room(const ExportEstimate& estimate, bool force_memory) {
  if (estimate.fits(force_memory)) return;
  const char* advice =
      estimate.disk_fits()
          ? "free some memory, or go on all the same with --force-memory: what is said to be "
            "needed is an upper bound"
          : "free some space or choose another place";
  throw MachineError(fmt::format("the export does not fit; {}\n{}", advice, to_table(estimate)));
}

}  // namespace qvl
