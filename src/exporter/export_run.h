// The steps of an export: what is refused, written, copied and published.
#pragma once

#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "core/staging_folder.h"
#include "exporter/export_plan.h"
#include "folder/manifest.h"
#include "models/model_checkpoint.h"
#include "qvl/export.h"

namespace qvl {

class ExportRun {
 public:
  // Opens the checkpoint and plans the artifacts. `options` must outlive it. Throws as export_checkpoint
  // does.
  explicit ExportRun(const ExportOptions& options);

  [[nodiscard]] const Checkpoint& checkpoint() const noexcept { return checkpoint_.files; }
  [[nodiscard]] const ExportPlan& plan() const noexcept { return plan_; }
  [[nodiscard]] ExportEstimate estimate() const { return plan_.estimate(plan_.manifest()); }

  ExportResult run();

  // Writes artifact `index` of the plan into a folder and enters in the manifest what only the writing tells.
  using WriteArtifact =
      std::function<void(std::size_t index, const std::filesystem::path& folder, Manifest& manifest)>;
  // The same steps with other files: those of a quantized folder, which `planned` tells as far as they are
  // known. Artifacts that the folder holds already are not kept beside them. Throws MachineError, as run()
  // does, where there is no room for them.
  void run_quantized(const Manifest& planned, const WritingNeeds& needs, const WriteArtifact& write);

 private:
  void refuse_existing() const;
  [[nodiscard]] std::vector<std::string> strangers() const;
  void refuse(bool condition, const std::string& file) const;
  void write_artifact(std::size_t index, const std::filesystem::path& folder, Manifest& manifest);
  // Writes the data file of an artifact, and those with the same bytes that become files of their own and
  // cannot share blocks with it.
  void write_data(std::size_t index, const std::filesystem::path& folder, Manifest& manifest);
  // A data file with the bytes of one that is there already.
  void write_twin(std::size_t index, const std::filesystem::path& folder, Manifest& manifest);
  void copy_configs(const std::filesystem::path& folder, Manifest& manifest) const;
  void publish(StagingFolder& staging, const Manifest& manifest);
  void begin(const std::string& stage, std::uint64_t bytes) const;
  void advance(std::uint64_t bytes);
  void end() const;

  const ExportOptions& options_;
  ModelCheckpoint checkpoint_;
  ExportPlan plan_;
  std::mutex progress_mutex_;
};

}  // namespace qvl
