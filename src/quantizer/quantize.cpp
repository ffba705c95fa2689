#include "qvl/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>

#include "core/output_file.h"
#include "core/output_folder.h"
#include "core/sha256.h"
#include "core/staging_folder.h"
#include "core/text_file.h"
#include "exporter/export_source.h"
#include "folder/artifact_names.h"
#include "folder/copied_files.h"
#include "folder/manifest.h"
#include "quantizer/calibration_run.h"
#include "quantizer/chosen_plan.h"
#include "quantizer/file_record.h"
#include "quantizer/model_output.h"
#include "replay/kept_weights.h"
#include "replay/model_hash.h"
#include "replay/unmeasured.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

// One ONNX file of the model.
struct Source {
  std::string file;
  ModelGraph graph;
  std::vector<Unit> units;
  std::optional<ModelWeightSource> weights;
  std::unique_ptr<ModelOutput> output;  // null: nothing of it is quantized

  Source(const fs::path& folder, std::string name)
      : file(std::move(name)), graph(folder / file), units(find_units(graph)) {}
};

void require_free_place(const QuantizeOptions& options, FolderKind own, std::span<const std::string> files) {
  if (options.out.empty()) throw UsageError("--out is missing: the folder to write");
  const fs::path from =
      fs::is_directory(options.model) ? options.model : fs::absolute(options.model).parent_path();
  std::error_code error;
  if (fs::equivalent(options.out, from, error))
    throw UsageError(
        fmt::format("{} is where the model lies; another folder is expected", options.out.string()));
  require_output_folder(options.out, own, options.force);
  if (options.force) return;
  for (const std::string& file : files) {
    if (fs::exists(options.out / file))
      throw InputError(
          fmt::format("{} is there already; --force replaces it", (options.out / file).string()));
  }
}

class Quantization {
 public:
  explicit Quantization(const QuantizeOptions& options) : options_(options) {}

  QuantizeResult folder();
  QuantizeResult file();

 private:
  void choose_plan();
  void require_right_model(const fs::path& folder,
                           const std::unordered_map<std::string, std::string>& known) const;
  void prepare();
  void settle_smoothing();
  void write(const fs::path& place);
  void run_gptq(std::span<Source* const> opened);
  [[nodiscard]] Source* twin_of(const Source& source, std::span<Source* const> opened) const;
  void update(ManifestArtifact& artifact, const Source& source, const fs::path& place) const;
  [[nodiscard]] QuantizeResult result(const fs::path& place) const;
  void begin(const std::string& stage, std::uint64_t bytes) const {
    if (options_.progress != nullptr) options_.progress->begin(stage, bytes);
  }
  void end() const {
    if (options_.progress != nullptr) options_.progress->end();
  }

  const QuantizeOptions& options_;
  QuantPlan plan_;
  // Of a folder: vision, text_with_image, text, so that what was calibrated comes before its twin.
  std::vector<std::unique_ptr<Source>> sources_;
  std::unordered_map<std::string, std::string> data_sha256_;  // by ONNX file, as the manifest has it
  std::unique_ptr<CalibrationRun> calibration_;
  CalibratedUnits calibrated_;
};

void Quantization::choose_plan() {
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (const auto& source : sources_) {
    for (const Unit& unit : source->units) {
      if (seen.insert(unit.name).second) names.push_back(unit.name);
    }
  }
  std::string in_bodies;
  std::vector<std::string> known = names;
  for (const auto& source : sources_) {
    for (const BodyUnits& bodies : units_of_bodies(source->graph, source->units)) {
      in_bodies += "; " + to_text(bodies, "left as they are");
      known.insert(known.end(), bodies.names.begin(), bodies.names.end());
    }
  }
  if (names.empty() && !options_.format.empty()) {
    throw InputError(fmt::format("{} has no unit: no MatMul, Gemm or Conv with a constant weight{}",
                                 options_.model.string(), in_bodies));
  }
  plan_ = chosen_plan(options_, names);
  require_units(plan_, known, options_.model.string());
  for (const PlanEntry& entry : plan_.entries) {
    const bool in_body = std::find(known.begin() + static_cast<std::ptrdiff_t>(names.size()), known.end(),
                                   entry.name) != known.end();
    if (in_body && entry.format && !seen.contains(entry.name)) {
      throw InputError(fmt::format(
          "the plan quantizes {}, which lies in the body of an If, Loop or Scan of {}; weights there "
          "are left as they are, since other inputs may take another way: keep it",
          entry.name, options_.model.string()));
    }
  }
  if (needs_data(plan_) && options_.data.empty()) {
    throw UsageError(
        "gptq, int8-static and smoothing need calibration data, and --data is missing: a JSONL file of chats "
        "for a model "
        "folder, a folder of named tensors for an ONNX file");
  }
}

// As measure_sensitivity hashes it; the plan's name of the model tells which of a folder's files were
// measured.
void Quantization::require_right_model(const fs::path& folder,
                                       const std::unordered_map<std::string, std::string>& known) const {
  if (plan_.model_sha256.empty()) return;
  std::vector<fs::path> files;
  for (const auto& source : sources_) {
    const std::string name = source->graph.path().filename().string();
    if ((" " + plan_.model + " ").find(" " + name + " ") == std::string::npos) continue;
    const auto own = source->graph.files();
    files.insert(files.end(), own.begin(), own.end());
  }
  require_model(plan_, model_hash(files, folder, known, options_.threads, options_.cancel),
                options_.model.string());
}

void Quantization::prepare() {
  if (!options_.data.empty()) {
    begin("calibration", 0);
    calibration_ = std::make_unique<CalibrationRun>(options_, plan_);
    calibrated_ = calibration_->calibrate();
    settle_smoothing();
    end();
  }
  const std::string hash = plan_.sha256();
  std::vector<PreparedModel> all;
  std::vector<const PreparedModel*> models;
  for (const auto& source : sources_)
    all.push_back(prepare_model(source->graph, source->units, plan_, calibrated_));
  for (const PreparedModel& prepared : all) models.push_back(&prepared);
  require_tables(plan_, models, options_.model.string());
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    Source& source = *sources_[i];
    if (all[i].units.empty()) continue;
    hold_computed_weights(source.graph, all[i]);
    source.output = std::make_unique<ModelOutput>(ParsedModel(source.graph.path()), std::move(all[i]), hash);
    source.weights.emplace(source.graph, source.output->prepared().weights);
  }
}

// What was left to the data is written into the plan.
void Quantization::settle_smoothing() {
  for (const auto& source : sources_) {
    for (const Unit& unit : source->units) {
      const auto planned = plan_.of(unit.name);
      if (!planned || planned->smooth != kChooseSmooth) continue;
      PlanEntry entry{unit.name, planned};
      entry.format->smooth = calibrated_[unit.name].alpha;
      plan_.entries.push_back(std::move(entry));
    }
  }
}

// A source whose data file was, and will be, the same.
Source* Quantization::twin_of(const Source& source, std::span<Source* const> opened) const {
  const auto own = data_sha256_.find(source.file);
  for (Source* const other : opened) {
    const auto known = data_sha256_.find(other->file);
    if (own == data_sha256_.end() || known == data_sha256_.end() || own->second != known->second) continue;
    if (source.output->is_twin_of(*other->output)) return other;
  }
  return nullptr;
}

// The files are all open: a unit's numbers go there as soon as they are known.
void Quantization::run_gptq(std::span<Source* const> opened) {
  std::set<std::pair<Source*, std::size_t>> missing;
  for (Source* const source : opened) {
    const PreparedModel& prepared = source->output->prepared();
    for (std::size_t i = 0; i < prepared.units.size(); ++i) {
      if (prepared.units[i].algorithm == WeightAlgorithm::gptq) missing.emplace(source, i);
    }
  }
  if (missing.empty()) return;
  begin("gptq", 0);
  calibration_->gptq(calibrated_, [&](const std::string& unit, const QuantizedWeights& weights,
                                      std::span<const float> plain) {
    for (Source* const source : opened) {
      const auto& names = source->output->prepared().names;
      const auto index = static_cast<std::size_t>(std::ranges::find(names, unit) - names.begin());
      if (missing.erase({source, index}) != 0) source->output->put(index, weights, plain);
    }
  });
  end();
  if (missing.empty()) return;
  const auto& [source, index] = *missing.begin();
  throw InputError(fmt::format("{} of {} was not reached by the calibration data: gptq cannot quantize it",
                               source->output->prepared().names[index], source->file));
}

void Quantization::write(const fs::path& place) {
  std::vector<Source*> opened;
  std::vector<std::pair<Source*, Source*>> twins;
  for (const auto& source : sources_) {
    if (!source->output) {
      for (const fs::path& file : source->graph.files())
        (void)link_or_copy(file, place / file.filename(), options_.hard_link, options_.cancel,
                           [](std::uint64_t) {});
    } else if (Source* const twin = twin_of(*source, opened)) {
      twins.emplace_back(source.get(), twin);
    } else {
      source->output->open(place, source->file, *source->weights,
                           {options_.threads, options_.progress, options_.cancel});
      opened.push_back(source.get());
    }
  }
  run_gptq(opened);
  for (Source* const source : opened) {
    begin(source->file, source->output->graph().data_bytes());
    source->output->finish();
    end();
  }
  for (const auto& [source, twin] : twins) {
    source->output->open_twin(place, source->file, *twin->output,
                              {options_.threads, options_.progress, options_.cancel}, options_.hard_link);
    source->output->finish();
  }
  if (options_.cancel != nullptr) options_.cancel->throw_if_cancelled();
}

QuantizeResult Quantization::result(const fs::path& place) const {
  QuantizeResult result;
  for (const auto& source : sources_) {
    QuantizedFile file;
    file.file = source->file;
    file.units = static_cast<int>(source->units.size());
    file.in_bodies = units_of_bodies(source->graph, source->units);
    const auto tables =
        source->output ? source->output->prepared().table_weights() : std::vector<std::string>();
    WeightUses uses = weight_uses(source->graph, source->units, tables);
    file.weight_bytes = uses.bytes;
    file.kept = std::move(uses.kept);
    for (const fs::path& before : source->graph.files()) file.bytes_before += fs::file_size(before);
    file.bytes_after = fs::file_size(place / source->file);
    if (source->output) {
      file.bytes_after += source->output->graph().data_bytes();
      file.unpacked_bytes = source->output->graph().unpacked_bytes();
      file.quantized = static_cast<int>(source->output->prepared().nodes.size());
      file.notes = source->output->notes();
    } else {
      file.bytes_after = file.bytes_before;
    }
    if (file.bytes_after > file.bytes_before) {
      file.notes.push_back(
          fmt::format("it is larger than before, by {} bytes", file.bytes_after - file.bytes_before));
    }
    result.files.push_back(std::move(file));
  }
  return result;
}

void Quantization::update(ManifestArtifact& artifact, const Source& source, const fs::path& place) const {
  if (!source.output) return;
  artifact.file_sha256 = sha256_of_file(place / artifact.file);
  artifact.file_bytes = fs::file_size(place / artifact.file);
  artifact.data_sha256 = source.output->data_sha256();
  artifact.data_bytes = source.output->graph().data_bytes();
  artifact.unpacked_bytes = source.output->graph().unpacked_bytes();
  artifact.tensors = source.output->tensors(artifact.tensors);
}

QuantizeResult Quantization::folder() {
  Manifest manifest = read_manifest(options_.model);
  if (!manifest.plan.empty()) {
    throw InputError(fmt::format("{} is quantized already; quantize the folder that it was made from",
                                 options_.model.string()));
  }
  std::unordered_map<std::string, std::string> known;
  for (const std::string_view kind : {kVisionArtifact, kTextWithImageArtifact, kTextArtifact}) {
    for (const ManifestArtifact& a : manifest.artifacts) {
      if (a.artifact != kind) continue;
      sources_.push_back(std::make_unique<Source>(options_.model, a.file));
      data_sha256_[a.file] = known[a.data_file] = a.data_sha256;
      known[a.file] = a.file_sha256;
    }
  }
  choose_plan();
  std::vector<std::string> names;
  for (const std::string_view file : copied_files()) {
    if (fs::is_regular_file(options_.model / file)) names.emplace_back(file);
  }
  const std::size_t configs = names.size();
  for (const auto& source : sources_) names.push_back(data_file_name(source->file));
  for (const auto& source : sources_) names.push_back(source->file);
  names.emplace_back(kManifestName);
  require_free_place(options_, FolderKind::model, std::span(names).subspan(configs));
  require_right_model(options_.model, known);
  prepare();
  StagingFolder staging(options_.out);
  write(staging.path());
  for (ManifestArtifact& artifact : manifest.artifacts) {
    for (const auto& source : sources_) {
      if (source->file == artifact.file) update(artifact, *source, staging.path());
    }
  }
  QuantPlan plan = plan_;
  plan.record.clear();
  manifest.plan = plan.to_json();
  for (const std::string& file : std::span(names).first(configs))
    write_file(staging.path() / file, read_text_file(options_.model / file));
  manifest.files = describe_files(staging.path(), std::span(names).first(configs));
  write_file(staging.path() / kManifestName, manifest_text(manifest));
  const QuantizeResult done = result(staging.path());
  const auto alone = staging.lock();
  staging.publish(names);
  return done;
}

QuantizeResult Quantization::file() {
  const fs::path folder = options_.model.parent_path();
  const std::string name = options_.model.filename().string();
  sources_.push_back(std::make_unique<Source>(folder, name));
  choose_plan();
  const std::string record = name + ".quantization.json";
  std::vector<std::string> names{data_file_name(name), name, record};
  require_free_place(options_, FolderKind::quantized, names);
  require_right_model({}, {});
  prepare();
  Source& source = *sources_.front();
  if (!source.output) throw InputError(fmt::format("the plan leaves every unit of {} as it is", name));
  StagingFolder staging(options_.out);
  write(staging.path());
  QuantPlan plan = plan_;
  plan.record.clear();
  write_file(staging.path() / record, quantization_record(name, plan, source.output->tensors({})));
  const QuantizeResult done = result(staging.path());
  const auto alone = staging.lock();
  staging.publish(names);
  return done;
}

}  // namespace

QuantizeResult quantize_model(const QuantizeOptions& options) {
  if (!fs::exists(options.model)) {
    throw InputError(
        fmt::format("{} does not exist; an ONNX file or a model folder is expected", options.model.string()));
  }
  Quantization quantization(options);
  return fs::is_directory(options.model) ? quantization.folder() : quantization.file();
}

}  // namespace qvl
