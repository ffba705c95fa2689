#include "exporter/export_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

#include "checkpoint/generation_config.h"
#include "checkpoint/preprocessor_config.h"
#include "core/disk_space.h"
#include "core/output_file.h"
#include "core/output_folder.h"
#include "core/sha256.h"
#include "core/text_file.h"
#include "exporter/weight_stream.h"
#include "folder/artifact_names.h"
#include "folder/copied_files.h"
#include "models/family.h"
#include "text/folder_template.h"
#include "text/tokenizer.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

// A checkpoint with everything that the export, and qvl run after it, needs.
ModelCheckpoint open_whole(const ExportOptions& options) {
  const fs::path& folder = options.checkpoint;
  ModelCheckpoint checkpoint = ModelCheckpoint::open(folder);
  const Model& model = *checkpoint.model;
  model.tensors().require_match(checkpoint.files);
  const fs::path tokenizer = folder / "tokenizer.json";
  model.require_chat_tokens(Tokenizer::load(tokenizer), tokenizer.string());
  model.require_same_pictures(read_preprocessor_config(folder), folder.string());
  (void)read_generation_config(folder);
  for (const std::string& notice : checkpoint.notices) options.input.warn(notice);
  const Family& family = model.family();
  const FolderTemplate chat =
      template_of(folder, [&](std::string_view text) { return family.knows_template(text); });
  if (chat.kind == FolderTemplate::Kind::other) {
    options.input.warn(
        fmt::format("the chat template in {} is not {}'s as published: run, sensitivity and evaluate "
                    "will refuse to write prompts for the model folder without --chat-template qwen",
                    (folder / chat.file).string(), family.name()));
  }
  return checkpoint;
}

ExportResult result_of(const Manifest& manifest) {
  ExportResult result;
  std::set<std::string> counted;  // a weight of the checkpoint counts once, wherever it is stored again
  for (const ManifestArtifact& a : manifest.artifacts) {
    result.artifacts.push_back({a.artifact, a.file, a.data_file, a.data_bytes});
    for (const TensorReport& t : a.tensors) {
      if (!t.source.empty() && !counted.insert(t.source).second) continue;
      result.overflowed += t.stats.overflowed;
      result.subnormal += t.stats.subnormal;
      result.not_finite += t.stats.not_finite;
    }
  }
  return result;
}

std::uint64_t tensor_bytes(const ManifestArtifact& artifact) {
  std::uint64_t bytes = 0;
  for (const TensorReport& tensor : artifact.tensors) bytes += tensor.size_bytes;
  return bytes;
}

}  // namespace

ExportRun::ExportRun(const ExportOptions& options)
    : options_(options),
      checkpoint_(open_whole(options)),
      plan_(options, source_from_checkpoint(checkpoint_)) {
  refuse_existing();
}

ExportResult ExportRun::run() {
  StagingFolder staging(options_.out);  // first, since it removes what a killed run left
  Manifest manifest = plan_.manifest();
  require_room(plan_.estimate(manifest), options_.force_memory);
  for (std::size_t i = 0; i < manifest.artifacts.size(); ++i) write_artifact(i, staging.path(), manifest);
  copy_configs(staging.path(), manifest);
  publish(staging, manifest);
  return result_of(manifest);
}

void ExportRun::run_quantized(const Manifest& planned, const WritingNeeds& needs,
                              const WriteArtifact& write) {
  StagingFolder staging(options_.out);
  require_room(plan_.estimate(planned, needs), options_.force_memory);
  Manifest manifest = planned;
  for (std::size_t i = 0; i < manifest.artifacts.size(); ++i) write(i, staging.path(), manifest);
  copy_configs(staging.path(), manifest);
  publish(staging, manifest);
}

// Without --force nothing that is there is replaced by something else, and nothing of another checkpoint is
// mixed in.
void ExportRun::refuse_existing() const {
  if (options_.out.empty()) return;
  require_output_folder(options_.out, FolderKind::model, options_.force);
  if (options_.force) return;
  for (const PlannedArtifact& plan : plan_.artifacts()) {
    for (const std::string& file : {plan.file, data_file_name(plan.file)})
      refuse(fs::exists(options_.out / file), file);
  }
  const ExistingManifest existing(options_.out);
  refuse(existing.exists() && !existing.is_qvl(), kManifestName);
  if (existing.exists() && existing.fingerprint() != plan_.source().fingerprint) {
    throw InputError(
        fmt::format("{} holds artifacts of another checkpoint ({}); choose another folder, or --force to "
                    "replace them",
                    options_.out.string(), existing.checkpoint()));
  }
  for (const PlannedArtifact& plan : plan_.artifacts()) {
    for (const std::string& file : existing.files_of(plan.spec.kind.name))
      refuse(fs::exists(options_.out / file), file);
  }
  for (const ExportSource::SmallFile& file : plan_.source().files) {
    const fs::path there = options_.out / file.name;
    refuse(fs::exists(there) && (!fs::is_regular_file(there) ||
                                 read_text_file(there) != read_text_file(options_.checkpoint / file.name)),
           file.name);
  }
  for (const std::string& file : strangers()) {
    throw InputError(fmt::format("{} is there, and the checkpoint has no such file; --force removes it",
                                 (options_.out / file).string()));
  }
}

// A chat template or a config that this checkpoint does not have would be read as one of its own.
std::vector<std::string> ExportRun::strangers() const {
  const auto& copied = plan_.source().files;
  std::vector<std::string> names;
  std::error_code error;
  for (const std::string_view name : copied_files()) {
    if (std::ranges::find(copied, name, &ExportSource::SmallFile::name) != copied.end()) continue;
    if (fs::is_regular_file(options_.out / name, error)) names.emplace_back(name);
  }
  return names;
}

void ExportRun::refuse(bool condition, const std::string& file) const {
  if (!condition) return;
  throw InputError(fmt::format("{} is there already; --force replaces it", (options_.out / file).string()));
}

void ExportRun::write_data(std::size_t index, const fs::path& folder, Manifest& manifest) {
  ManifestArtifact& entry = manifest.artifacts[index];
  WeightStreamOptions stream{options_.threads, options_.progress, options_.cancel, {}, {}};
  if (!options_.hard_link && !can_share_blocks(folder)) {
    for (std::size_t i = index + 1; i < manifest.artifacts.size(); ++i) {
      if (plan_.artifacts()[i].twin == index)
        stream.copies.push_back(folder / manifest.artifacts[i].data_file);
    }
  }
  begin(entry.file, tensor_bytes(entry) * (1 + stream.copies.size()));
  WrittenData written = write_external_data(plan_.artifacts()[index].model, checkpoint_.files,
                                            std::move(entry.tensors), folder / entry.data_file, stream);
  entry.tensors = std::move(written.tensors);
  entry.data_sha256 = std::move(written.sha256);
  end();
}

void ExportRun::write_twin(std::size_t index, const fs::path& folder, Manifest& manifest) {
  ManifestArtifact& entry = manifest.artifacts[index];
  const ManifestArtifact& twin = manifest.artifacts[*plan_.artifacts()[index].twin];
  const fs::path data = folder / entry.data_file;
  if (!fs::exists(data)) {
    begin(entry.file, entry.data_bytes);
    const bool linked = link_or_copy(folder / twin.data_file, data, options_.hard_link, options_.cancel,
                                     [this](std::uint64_t bytes) { advance(bytes); });
    if (linked) advance(entry.data_bytes);
    end();
  }
  entry.tensors = twin.tensors;
  entry.data_sha256 = twin.data_sha256;
}

// Fills in what only the writing tells.
void ExportRun::write_artifact(std::size_t index, const fs::path& folder, Manifest& manifest) {
  const PlannedArtifact& plan = plan_.artifacts()[index];
  if (plan.twin) {
    write_twin(index, folder, manifest);
  } else {
    write_data(index, folder, manifest);
  }
  ManifestArtifact& entry = manifest.artifacts[index];
  const fs::path place = folder / entry.file;
  plan.model.save(place, entry.data_file);
  OnnxModel::check(place);
  entry.file_sha256 = sha256_of_file(place);
}

void ExportRun::copy_configs(const fs::path& folder, Manifest& manifest) const {
  std::vector<std::string> names;
  for (const ExportSource::SmallFile& file : plan_.source().files) {
    names.push_back(file.name);
    write_file(folder / file.name, read_text_file(options_.checkpoint / file.name));
  }
  manifest.files = describe_files(folder, names);
}

// Data before the graph that needs it, the manifest last: whoever sees a manifest sees what it lists.
void ExportRun::publish(StagingFolder& staging, const Manifest& manifest) {
  if (options_.cancel != nullptr) options_.cancel->throw_if_cancelled();
  const auto alone = staging.lock();
  const ExistingManifest existing(options_.out);
  const bool quantized = !manifest.plan.empty();
  write_file(staging.path() / kManifestName,
             quantized ? manifest_text(manifest) : existing.merged_into(manifest));
  std::vector<std::string> names;
  for (const ExportSource::SmallFile& file : plan_.source().files) names.push_back(file.name);
  for (const PlannedArtifact& plan : plan_.artifacts()) names.push_back(data_file_name(plan.file));
  for (const PlannedArtifact& plan : plan_.artifacts()) names.push_back(plan.file);
  names.emplace_back(kManifestName);
  staging.publish(names);
  std::error_code ignored;
  for (const std::string& file : strangers()) fs::remove(options_.out / file, ignored);
  if (quantized) return;
  for (const std::string& file : existing.dropped_files(manifest)) fs::remove(options_.out / file, ignored);
}

void ExportRun::begin(const std::string& stage, std::uint64_t bytes) const {
  if (options_.progress != nullptr) options_.progress->begin(stage, bytes);
}

void ExportRun::advance(std::uint64_t bytes) {
  if (options_.progress == nullptr) return;
  const std::lock_guard lock(progress_mutex_);
  options_.progress->advance(bytes);
}

void ExportRun::end() const {
  if (options_.progress != nullptr) options_.progress->end();
}

}  // namespace qvl
