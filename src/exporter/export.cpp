#include "qvl/export.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <future>
#include <mutex>
#include <optional>

#include "checkpoint/checkpoint.h"
#include "checkpoint/generation_config.h"
#include "checkpoint/preprocessor_config.h"
#include "core/json_text.h"
#include "core/output_file.h"
#include "core/sha256.h"
#include "core/staging_folder.h"
#include "exporter/artifact_names.h"
#include "exporter/fingerprint.h"
#include "exporter/manifest.h"
#include "exporter/weight_stream.h"
#include "onnx/model_summary.h"
#include "qwen25vl/picture_input.h"
#include "qwen25vl/prompt_layout.h"
#include "qwen25vl/text_graph.h"
#include "qwen25vl/vision_graph.h"
#include "text/tokenizer.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

constexpr const char* kManifestName = "manifest.json";

// Copied as they are, where the checkpoint has them.
constexpr std::array kCopiedFiles{"config.json",
                                  "generation_config.json",
                                  "preprocessor_config.json",
                                  "processor_config.json",
                                  "tokenizer.json",
                                  "tokenizer_config.json",
                                  "chat_template.json",
                                  "chat_template.jinja",
                                  "special_tokens_map.json",
                                  "added_tokens.json",
                                  "vocab.json",
                                  "merges.txt"};

class Export {
 public:
  explicit Export(const ExportOptions& options)
      : options_(options), checkpoint_(Checkpoint::open(options.checkpoint)), table_(checkpoint_.config()) {
    table_.require_match(checkpoint_);
    check_configs();
    fingerprint_ = checkpoint_fingerprint(checkpoint_);
    stem_ = options.stem.empty() ? stem_of(options.checkpoint, checkpoint_.config()) : options.stem;
    if (!is_valid_stem(stem_)) {
      throw UsageError(
          "a stem is the first part of file names: letters, digits, '.', '_' and '-', at most 100, and not "
          "'.' first");
    }
    for (const Artifact a : {Artifact::vision, Artifact::text, Artifact::text_with_image}) {
      const auto& only = options.only;
      if (!only.empty() && std::find(only.begin(), only.end(), a) == only.end()) continue;
      plans_.push_back({a, file_name(a, stem_, options), build(a)});
    }
    refuse_existing();
  }

  ExportResult run() {
    StagingFolder staging(options_.out);
    staging_ = &staging;
    require_space();
    Manifest manifest{fs::weakly_canonical(options_.checkpoint).filename().string(), fingerprint_, stem_, {}};
    for (const Plan& plan : plans_) manifest.artifacts.push_back(write_artifact(plan));
    add_checksums(manifest);
    copy_configs();
    publish(manifest);
    return result(manifest);
  }

 private:
  struct Plan {
    Artifact artifact;
    std::string file;
    OnnxModel model;
  };

  // What qvl run will need must be there and readable, or the export is worth nothing.
  void check_configs() const {
    const fs::path tokenizer = options_.checkpoint / "tokenizer.json";
    require_chat_tokens(Tokenizer::load(tokenizer), checkpoint_.config(), tokenizer.string());
    require_same_patches(read_preprocessor_config(options_.checkpoint), checkpoint_.config().vision,
                         options_.checkpoint.string());
    (void)read_generation_config(options_.checkpoint);
  }

  OnnxModel build(Artifact artifact) const {
    const ModelConfig& config = checkpoint_.config();
    std::vector<std::pair<std::string, std::string>> metadata{{"qvl.artifact", name(artifact)}};
    if (artifact != Artifact::text) {
      metadata.emplace_back("qvl.image_size",
                            fmt::format("{}x{}", options_.image_width_pixels, options_.image_height_pixels));
    }
    if (artifact == Artifact::vision) {
      VisionGraphOptions vision;
      vision.width_pixels = options_.image_width_pixels;
      vision.height_pixels = options_.image_height_pixels;
      vision.metadata = std::move(metadata);
      return build_vision_graph(config, table_, vision);
    }
    const std::int64_t token_pixels = config.vision.patch_size * config.vision.spatial_merge_size;
    TextGraphOptions text;
    text.dtype = options_.text_in_f32 ? DType::f32 : DType::f16;
    text.mask_type = options_.mask_type;
    text.with_image = artifact == Artifact::text_with_image;
    text.picture_rows_tokens = options_.image_height_pixels / token_pixels;
    text.picture_columns_tokens = options_.image_width_pixels / token_pixels;
    if (text.with_image && (text.picture_rows_tokens * token_pixels != options_.image_height_pixels ||
                            text.picture_columns_tokens * token_pixels != options_.image_width_pixels ||
                            text.picture_rows_tokens <= 0 || text.picture_columns_tokens <= 0)) {
      throw UsageError(fmt::format("image size {} x {}; both sides must be positive multiples of {}",
                                   options_.image_width_pixels, options_.image_height_pixels, token_pixels));
    }
    text.metadata = std::move(metadata);
    return build_text_graph(config, table_, text);
  }

  // Without --force nothing that is there is replaced by something else, and nothing of another checkpoint is
  // mixed in.
  void refuse_existing() const {
    if (options_.force) return;
    for (const Plan& plan : plans_) {
      for (const std::string& file : {plan.file, data_file_name(plan.file)})
        refuse(fs::exists(options_.out / file), file);
    }
    const ExistingManifest existing(options_.out);
    refuse(existing.exists() && !existing.is_qvl(), kManifestName);
    if (existing.exists() && existing.fingerprint() != fingerprint_) {
      throw InputError(
          fmt::format("{} holds artifacts of another checkpoint ({}); choose another folder, or --force to "
                      "replace them",
                      options_.out.string(), existing.checkpoint()));
    }
    for (const Plan& plan : plans_) {
      for (const std::string& file : existing.files_of(plan.artifact))
        refuse(fs::exists(options_.out / file), file);
    }
    for (const std::string& file : config_files()) {
      const fs::path there = options_.out / file;
      refuse(fs::exists(there) && (!fs::is_regular_file(there) ||
                                   read_text_file(there) != read_text_file(options_.checkpoint / file)),
             file);
    }
  }

  void refuse(bool condition, const std::string& file) const {
    if (!condition) return;
    throw InputError(fmt::format("{} is there already; --force replaces it", (options_.out / file).string()));
  }

  // The plan before this one whose data file will be the same, or null.
  [[nodiscard]] const Plan* twin_of(const Plan& plan) const {
    for (const Plan& other : plans_) {
      if (&other == &plan) return nullptr;
      const auto& a = other.model.external_tensors();
      const auto& b = plan.model.external_tensors();
      const auto same = [](const ExternalTensor& x, const ExternalTensor& y) {
        return !x.values && !y.values && x.name == y.name && x.dtype == y.dtype && x.shape == y.shape &&
               x.offset_bytes == y.offset_bytes;
      };
      if (std::equal(a.begin(), a.end(), b.begin(), b.end(), same)) return &other;
    }
    return nullptr;
  }

  void require_space() const {
    std::uint64_t needed = 0;
    for (const Plan& plan : plans_) {
      if (twin_of(plan) == nullptr || options_.copy_data) needed += plan.model.external_size_bytes();
    }
    std::error_code error;
    const fs::space_info space = fs::space(staging_->path(), error);
    if (!error && space.available < needed) {
      throw MachineError(
          fmt::format("{}: the export takes {} bytes, {} are free; free some space or choose another place",
                      options_.out.string(), needed, space.available));
    }
  }

  ManifestArtifact write_artifact(const Plan& plan) {
    const fs::path place = staging_->path() / plan.file;
    const fs::path data = staging_->path() / data_file_name(plan.file);
    ManifestArtifact entry;
    entry.artifact = plan.artifact;
    entry.file = plan.file;
    entry.data_file = data.filename().string();
    entry.image_width_pixels = options_.image_width_pixels;
    entry.image_height_pixels = options_.image_height_pixels;
    std::uint64_t data_bytes = 0;
    for (const ExternalTensor& tensor : plan.model.external_tensors()) data_bytes += tensor.size_bytes;
    begin(plan.file, data_bytes);
    const Plan* twin = twin_of(plan);
    if (twin != nullptr) {
      duplicate(staging_->path() / data_file_name(twin->file), data, data_bytes);
      entry.tensors = reports_.at(static_cast<std::size_t>(twin - plans_.data()));
    } else {
      entry.tensors = write_external_data(plan.model, checkpoint_, table_, data,
                                          {options_.threads, options_.progress, options_.cancel});
    }
    reports_.push_back(entry.tensors);
    plan.model.save(place, entry.data_file);
    OnnxModel::check(place);
    const ModelSummary summary = summarize_model(place);
    entry.opset = summary.opset;
    for (const auto& port : summary.inputs) entry.inputs.push_back({port.name, port.dtype, port.shape});
    for (const auto& port : summary.outputs) entry.outputs.push_back({port.name, port.dtype, port.shape});
    entry.file_bytes = fs::file_size(place);
    entry.data_bytes = fs::file_size(data);
    end();
    return entry;
  }

  // A hard link where that is possible and wanted, else a copy.
  void duplicate(const fs::path& from, const fs::path& to, std::uint64_t size_bytes) {
    std::error_code error;
    if (!options_.copy_data) fs::create_hard_link(from, to, error);
    if (options_.copy_data || error) {
      copy_file(from, to, options_.cancel, [this](std::uint64_t bytes) { advance(bytes); });
    } else {
      advance(size_bytes);
    }
  }

  // Each data file on a thread of its own, hard links once: hashing is bound by the processor.
  void add_checksums(Manifest& manifest) {
    std::vector<std::future<std::string>> data;
    const auto path = [&](std::size_t i) { return staging_->path() / manifest.artifacts[i].data_file; };
    const auto is_link = [&](std::size_t i) { return i > 0 && same_file(path(i), path(i - 1)); };
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < manifest.artifacts.size(); ++i)
      total += is_link(i) ? 0 : manifest.artifacts[i].data_bytes;
    begin("checksums", total);
    for (std::size_t i = 0; i < manifest.artifacts.size(); ++i) {
      data.push_back(
          is_link(i) ? std::future<std::string>() : std::async(std::launch::async, [this, file = path(i)] {
            return sha256_of_file(file, options_.cancel, [this](std::uint64_t bytes) { advance(bytes); });
          }));
    }
    for (std::size_t i = 0; i < data.size(); ++i) {
      ManifestArtifact& a = manifest.artifacts[i];
      a.data_sha256 = data[i].valid() ? data[i].get() : manifest.artifacts[i - 1].data_sha256;
      a.file_sha256 = sha256_of_file(staging_->path() / a.file, options_.cancel);
    }
    end();
  }

  static bool same_file(const fs::path& a, const fs::path& b) {
    std::error_code error;
    return fs::equivalent(a, b, error) && !error;
  }

  // Those of kCopiedFiles that the checkpoint has.
  [[nodiscard]] std::vector<std::string> config_files() const {
    std::vector<std::string> files;
    for (const char* file : kCopiedFiles) {
      if (fs::is_regular_file(options_.checkpoint / file)) files.emplace_back(file);
    }
    return files;
  }

  void copy_configs() const {
    for (const std::string& file : config_files()) {
      write_file(staging_->path() / file, read_text_file(options_.checkpoint / file));
    }
  }

  // Data before the graph that needs it, the manifest last: whoever sees a manifest sees what it lists.
  void publish(const Manifest& manifest) {
    if (options_.cancel != nullptr) options_.cancel->throw_if_cancelled();
    const auto alone = staging_->lock();
    const ExistingManifest existing(options_.out);
    write_file(staging_->path() / kManifestName, existing.merged_into(manifest));
    std::vector<std::string> names = config_files();
    for (const Plan& plan : plans_) names.push_back(data_file_name(plan.file));
    for (const Plan& plan : plans_) names.push_back(plan.file);
    names.emplace_back(kManifestName);
    staging_->publish(names);
    std::error_code ignored;
    for (const std::string& file : existing.dropped_files(manifest)) fs::remove(options_.out / file, ignored);
  }

  [[nodiscard]] static ExportResult result(const Manifest& manifest) {
    ExportResult result;
    std::string counted;  // data files are counted once, hard links not again
    for (const ManifestArtifact& a : manifest.artifacts) {
      result.artifacts.push_back({a.artifact, a.file, a.data_file, a.data_bytes});
      if (a.data_sha256 == counted) continue;
      counted = a.data_sha256;
      for (const TensorReport& t : a.tensors) {
        result.overflowed += t.stats.overflowed;
        result.subnormal += t.stats.subnormal;
        result.not_finite += t.stats.not_finite;
      }
    }
    return result;
  }

  void begin(const std::string& stage, std::uint64_t bytes) const {
    if (options_.progress != nullptr) options_.progress->begin(stage, bytes);
  }
  void advance(std::uint64_t bytes) {
    if (options_.progress == nullptr) return;
    const std::lock_guard lock(progress_mutex_);
    options_.progress->advance(bytes);
  }
  void end() const {
    if (options_.progress != nullptr) options_.progress->end();
  }

  const ExportOptions& options_;
  Checkpoint checkpoint_;
  TensorTable table_;
  std::string fingerprint_;
  std::string stem_;
  std::vector<Plan> plans_;
  std::vector<std::vector<TensorReport>> reports_;  // by plan
  StagingFolder* staging_ = nullptr;
  std::mutex progress_mutex_;
};

}  // namespace

ExportResult export_checkpoint(const ExportOptions& options) { return Export(options).run(); }

}  // namespace qvl
