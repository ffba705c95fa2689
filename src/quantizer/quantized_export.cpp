#include "quantizer/quantized_export.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/sha256.h"
#include "core/text_file.h"
#include "exporter/quantized_data.h"
#include "exporter/weight_source.h"
#include "folder/artifact_names.h"
#include "onnx/parsed_model.h"
#include "onnx/read/model_graph.h"
#include "quantizer/chosen_plan.h"
#include "quantizer/prepared_model.h"
#include "qvl/error.h"
#include "replay/kept_weights.h"
#include "replay/unit.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

// While a graph is written, a copy of it and its text are held.
constexpr std::uint64_t kWrittenCopies = 3;

}  // namespace

QuantizedExport::QuantizedExport(const ExportOptions& options, const fs::path& plan)
    : options_(options), plan_(QuantPlan::parse(read_text_file(plan), plan.string())), run_(options) {
  if (needs_data(plan_)) {
    throw UsageError(
        "the plan has gptq, int8-static or smoothing, which need calibration data and an exported model to "
        "run it: "
        "`qvl export`, then `qvl quantize --plan … --data …`");
  }
  prepare();
  plan_files();
}

QuantizeResult QuantizedExport::run() {
  run_.run_quantized(planned_, needs_, [this](std::size_t index, const fs::path& folder, Manifest& manifest) {
    write(index, folder, manifest.artifacts[index]);
  });
  return std::move(result_);
}

void QuantizedExport::prepare() {
  std::vector<std::string> units;
  for (std::size_t i = 0; i < run_.plan().artifacts().size(); ++i) prepare_artifact(i, units);
  require_units(plan_, units, options_.checkpoint.string());
  std::vector<const PreparedModel*> models;
  for (const auto& output : outputs_) {
    const PreparedModel& prepared = output->prepared();
    if (!prepared.tables.empty() || !prepared.kept.empty()) models.push_back(&prepared);
  }
  if (!models.empty())  // of an export of the vision encoder alone there are none
    require_tables(plan_, models, options_.checkpoint.string());
}

void QuantizedExport::prepare_artifact(std::size_t index, std::vector<std::string>& units) {
  const PlannedArtifact& artifact = run_.plan().artifacts()[index];
  ParsedModel model(artifact.model, artifact.file, data_file_name(artifact.file));
  const ModelGraph graph(model);
  const std::vector<Unit> found = find_units(graph);
  for (const Unit& unit : found) units.push_back(unit.name);
  PreparedModel prepared = prepare_model(graph, found, plan_, {});
  WeightUses uses = weight_uses(graph, found, prepared.table_weights());
  QuantizedFile& file = result_.files.emplace_back();
  file.file = artifact.file;
  file.units = static_cast<int>(found.size());
  file.quantized = static_cast<int>(prepared.nodes.size());
  file.weight_bytes = uses.bytes;
  file.kept = std::move(uses.kept);
  outputs_.push_back(std::make_unique<ModelOutput>(std::move(model), std::move(prepared), plan_.sha256()));
  file.notes = outputs_.back()->notes();
  const bool twin = artifact.twin && outputs_.back()->is_twin_of(*outputs_[*artifact.twin]);
  needs_.twins.push_back(twin ? artifact.twin : std::nullopt);
}

void QuantizedExport::plan_files() {
  plain_ = run_.plan().manifest();
  planned_ = plain_;
  QuantPlan record = plan_;
  record.record.clear();
  planned_.plan = record.to_json();
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    ManifestArtifact& entry = planned_.artifacts[i];
    const ModelOutput& output = *outputs_[i];
    entry.file_bytes = output.graph().file_bytes(entry.data_file);
    entry.data_bytes = output.graph().data_bytes();
    entry.unpacked_bytes = output.graph().unpacked_bytes();
    entry.tensors = output.tensors(plain_.artifacts[i].tensors);
    needs_.memory_bytes =
        std::max({needs_.memory_bytes, kWrittenCopies * entry.file_bytes,
                  QuantizedData::buffer_bytes(output.graph(), output.prepared().units, options_.threads)});
  }
}

void QuantizedExport::write(std::size_t index, const fs::path& folder, ManifestArtifact& entry) {
  const PlannedArtifact& artifact = run_.plan().artifacts()[index];
  const ManifestArtifact& plain = plain_.artifacts[index];
  ModelOutput* const output = outputs_[index].get();
  QuantizedFile& file = result_.files[index];
  file.bytes_before = plain.file_bytes + plain.data_bytes;
  if (const auto twin = needs_.twins[index]) {
    output->open_twin(folder, artifact.file, *outputs_[*twin],
                      {options_.threads, options_.progress, options_.cancel}, options_.hard_link);
    output->finish();
    entry.tensors = planned_.artifacts[*twin].tensors;
  } else {
    const CheckpointWeightSource source(run_.checkpoint(), artifact.model, plain.tensors,
                                        output->prepared().weights);
    if (options_.progress != nullptr) options_.progress->begin(artifact.file, output->graph().data_bytes());
    output->open(folder, artifact.file, source, {options_.threads, options_.progress, options_.cancel});
    output->finish();
    if (options_.progress != nullptr) options_.progress->end();
    entry.tensors = output->tensors(source.reports());
  }
  planned_.artifacts[index].tensors = entry.tensors;  // for a twin
  entry.file_sha256 = sha256_of_file(folder / artifact.file);
  entry.data_sha256 = output->data_sha256();
  file.bytes_after = entry.file_bytes + entry.data_bytes;
  file.unpacked_bytes = entry.unpacked_bytes;
}

QuantizeResult export_quantized(const ExportOptions& options, const fs::path& plan) {
  return QuantizedExport(options, plan).run();
}

}  // namespace qvl
