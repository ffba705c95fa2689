// From a checkpoint to a quantized folder in one step, without the unquantized one on the disk.
#include <fmt/format.h>
#include <unistd.h>

#include <set>

#include "core/output_file.h"
#include "core/sha256.h"
#include "core/staging_folder.h"
#include "core/text_file.h"
#include "exporter/export_run.h"
#include "exporter/weight_stream.h"
#include "folder/artifact_names.h"
#include "quantizer/chosen_plan.h"
#include "quantizer/model_output.h"
#include "qvl/quantize.h"
#include "replay/kept_weights.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

// The graph of an artifact with a data file of the right length but without bytes, in which units can be
// found.
struct HollowModel {
  fs::path graph_file;
  fs::path data_file;
  std::unique_ptr<ModelGraph> graph;
  std::vector<Unit> units;

  HollowModel(const OnnxModel& model, const fs::path& folder, const std::string& file)
      : graph_file(folder / file), data_file(folder / data_file_name(file)) {
    model.save(graph_file, data_file_name(file));
    write_file(data_file, "");
    if (::truncate(data_file.c_str(), static_cast<off_t>(model.external_size_bytes())) != 0)
      throw_write_error(data_file, errno);
    graph = std::make_unique<ModelGraph>(graph_file);
    units = find_units(*graph);
  }
  ~HollowModel() {
    graph.reset();
    std::error_code ignored;
    fs::remove(graph_file, ignored);
    fs::remove(data_file, ignored);
  }
  HollowModel(const HollowModel&) = delete;
  HollowModel& operator=(const HollowModel&) = delete;
};

class QuantizedExport {
 public:
  QuantizedExport(const ExportOptions& options, const fs::path& plan)
      : options_(options), plan_(QuantPlan::parse(read_text_file(plan), plan.string())), run_(options) {
    if (needs_data(plan_)) {
      throw UsageError(
          "the plan has gptq, int8-static or smoothing, which need calibration data and an exported model to "
          "run it: "
          "`qvl export`, then `qvl quantize --plan … --data …`");
    }
  }

  QuantizeResult run() {
    prepare();
    QuantPlan record = plan_;
    record.record.clear();
    run_.run_quantized(record.to_json(),
                       [this](std::size_t index, const fs::path& folder, Manifest& manifest) {
                         write(index, folder, manifest.artifacts[index]);
                       });
    return std::move(result_);
  }

 private:
  // Before the first byte is written: units are found in a folder that is gone again.
  void prepare() {
    const StagingFolder staging(options_.out);
    std::vector<std::string> names;
    for (const PlannedArtifact& artifact : run_.plan().artifacts()) {
      const HollowModel hollow(artifact.model, staging.path(), artifact.file);
      for (const Unit& unit : hollow.units) names.push_back(unit.name);
      outputs_.push_back(std::make_unique<ModelOutput>(
          ParsedModel(artifact.model, artifact.file, data_file_name(artifact.file)),
          prepare_model(*hollow.graph, hollow.units, plan_, {}), plan_.sha256()));
      WeightUses uses = weight_uses(*hollow.graph, hollow.units, outputs_.back()->prepared().table_weights());
      QuantizedFile& file = result_.files.emplace_back();
      file.file = artifact.file;
      file.units = static_cast<int>(hollow.units.size());
      file.quantized = static_cast<int>(outputs_.back()->prepared().nodes.size());
      file.weight_bytes = uses.bytes;
      file.kept = std::move(uses.kept);
      file.notes = outputs_.back()->notes();
    }
    require_units(plan_, names, options_.checkpoint.string());
    std::vector<const PreparedModel*> models;
    for (const auto& output : outputs_) {
      const PreparedModel& prepared = output->prepared();
      if (!prepared.tables.empty() || !prepared.kept.empty()) models.push_back(&prepared);
    }
    if (!models.empty())  // of an export of the vision encoder alone there are none
      require_tables(plan_, models, options_.checkpoint.string());
  }

  void write(std::size_t index, const fs::path& folder, ManifestArtifact& entry) {
    const PlannedArtifact& artifact = run_.plan().artifacts()[index];
    ModelOutput* const output = outputs_[index].get();
    QuantizedFile& file = result_.files[index];
    file.bytes_before = entry.file_bytes + entry.data_bytes;
    const ModelOutput* twin = artifact.twin ? outputs_.at(*artifact.twin).get() : nullptr;
    if (twin != nullptr && output->is_twin_of(*twin)) {
      output->open_twin(folder, artifact.file, *twin, {options_.threads, options_.progress, options_.cancel},
                        options_.hard_link);
      output->finish();
      entry.tensors = tensors_.at(*artifact.twin);
    } else {
      const CheckpointWeightSource source(run_.checkpoint(), artifact.model, entry.tensors,
                                          output->prepared().weights);
      if (options_.progress != nullptr) options_.progress->begin(artifact.file, output->graph().data_bytes());
      output->open(folder, artifact.file, source, {options_.threads, options_.progress, options_.cancel});
      output->finish();
      if (options_.progress != nullptr) options_.progress->end();
      entry.tensors = output->tensors(source.reports());
    }
    entry.file_sha256 = sha256_of_file(folder / artifact.file);
    entry.file_bytes = fs::file_size(folder / artifact.file);
    entry.data_sha256 = output->data_sha256();
    entry.data_bytes = output->graph().data_bytes();
    file.bytes_after = entry.file_bytes + entry.data_bytes;
    file.unpacked_bytes = entry.unpacked_bytes = output->graph().unpacked_bytes();
    tensors_.push_back(entry.tensors);
  }

  const ExportOptions& options_;
  QuantPlan plan_;
  ExportRun run_;
  QuantizeResult result_;
  std::vector<std::unique_ptr<ModelOutput>> outputs_;  // by artifact
  std::vector<std::vector<TensorReport>> tensors_;
};

}  // namespace

QuantizeResult export_quantized(const ExportOptions& options, const fs::path& plan) {
  return QuantizedExport(options, plan).run();
}

}  // namespace qvl
