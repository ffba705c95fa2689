// From a checkpoint to a quantized folder in one step, without the unquantized one on the disk.
#include <fmt/format.h>
#include <unistd.h>

#include <set>

#include "core/json_text.h"
#include "core/output_file.h"
#include "core/sha256.h"
#include "core/staging_folder.h"
#include "exporter/artifact_names.h"
#include "exporter/export_run.h"
#include "exporter/weight_stream.h"
#include "quantizer/chosen_plan.h"
#include "quantizer/model_output.h"
#include "qvl/quantize.h"

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
      units_.push_back(static_cast<int>(hollow.units.size()));
      outputs_.push_back(std::make_unique<ModelOutput>(
          artifact.model.serialize(data_file_name(artifact.file)), artifact.file,
          prepare_model(*hollow.graph, hollow.units, plan_, {}, options_.threads), plan_.sha256()));
    }
    require_units(plan_, names, options_.checkpoint.string());
  }

  void write(std::size_t index, const fs::path& folder, ManifestArtifact& entry) {
    const PlannedArtifact& artifact = run_.plan().artifacts()[index];
    ModelOutput* const output = outputs_[index].get();
    QuantizedFile file{artifact.file, entry.file_bytes + entry.data_bytes, 0, units_[index],
                       static_cast<int>(output->prepared().nodes.size())};
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
    file.unpacked_bytes = output->graph().unpacked_bytes();
    result_.files.push_back(std::move(file));
    tensors_.push_back(entry.tensors);
  }

  const ExportOptions& options_;
  QuantPlan plan_;
  ExportRun run_;
  QuantizeResult result_;
  std::vector<std::unique_ptr<ModelOutput>> outputs_;  // by artifact
  std::vector<int> units_;                             // likewise, how many it has
  std::vector<std::vector<TensorReport>> tensors_;
};

}  // namespace

QuantizeResult export_quantized(const ExportOptions& options, const fs::path& plan) {
  return QuantizedExport(options, plan).run();
}

}  // namespace qvl
