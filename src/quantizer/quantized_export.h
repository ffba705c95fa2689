// From a checkpoint to a quantized folder in one step, without the unquantized one on the disk.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <vector>

#include "exporter/export_run.h"
#include "folder/manifest.h"
#include "quant/quant_plan.h"
#include "quantizer/model_output.h"
#include "qvl/export.h"
#include "qvl/quantize.h"

namespace qvl {

class QuantizedExport {
 public:
  // Opens the checkpoint and makes the quantized graphs; nothing is written. `options` must outlive it.
  // Throws as export_quantized does.
  QuantizedExport(const ExportOptions& options, const std::filesystem::path& plan);

  // Of the files that run() writes; manifest.json has at most the size that is told.
  [[nodiscard]] ExportEstimate estimate() const { return run_.plan().estimate(planned_, needs_); }

  // Once.
  QuantizeResult run();

 private:
  void prepare();
  void prepare_artifact(std::size_t index, std::vector<std::string>& units);
  void plan_files();
  void write(std::size_t index, const std::filesystem::path& folder, ManifestArtifact& entry);

  const ExportOptions& options_;
  QuantPlan plan_;
  ExportRun run_;
  Manifest plain_;    // of the export without a plan
  Manifest planned_;  // with the sizes of the quantized files
  WritingNeeds needs_;
  QuantizeResult result_;
  std::vector<std::unique_ptr<ModelOutput>> outputs_;  // by artifact
};

}  // namespace qvl
