// Everything an export will write, known before a byte of it is written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "exporter/export_source.h"
#include "folder/manifest.h"
#include "models/artifact_spec.h"
#include "models/tensor_table.h"
#include "onnx/onnx_model.h"
#include "qvl/export.h"

namespace qvl {

struct PlannedArtifact {
  ArtifactSpec spec;
  std::string file;
  OnnxModel model;
  // The artifact before this one whose data file will be the same.
  std::optional<std::size_t> twin;
};

// What the writing of artifacts takes that a manifest does not tell.
struct WritingNeeds {
  // By artifact: the one before it whose data file will be the same.
  std::vector<std::optional<std::size_t>> twins;
  std::uint64_t memory_bytes = 0;  // the most that is held at a time, beside what is held already
};

class ExportPlan {
 public:
  // Builds the graphs. `options` and what `source` refers to must outlive the plan. Throws UsageError for
  // picture sizes and stems that cannot be.
  ExportPlan(const ExportOptions& options, ExportSource source);

  [[nodiscard]] const ExportSource& source() const noexcept { return source_; }
  [[nodiscard]] const std::vector<PlannedArtifact>& artifacts() const noexcept { return artifacts_; }

  // As it will be, but for checksums (placeholders of their length) and conversion statistics (none).
  [[nodiscard]] Manifest manifest() const;
  // Sizes of all files of manifest(), and what this machine has for them.
  [[nodiscard]] ExportEstimate estimate(const Manifest& planned) const;
  // Of quantized artifacts in the place of the plan's own, with the sizes that `planned` has for them; of its
  // manifest.json the largest.
  [[nodiscard]] ExportEstimate estimate(const Manifest& planned, const WritingNeeds& needs) const;

 private:
  [[nodiscard]] std::optional<std::size_t> twin_of(const OnnxModel& model) const;
  [[nodiscard]] WritingNeeds needs_of(const Manifest& manifest) const;

  const ExportOptions& options_;
  ExportSource source_;
  TensorTable table_;
  std::string stem_;
  std::vector<PlannedArtifact> artifacts_;
};

// Throws MachineError with the table of the estimate where the export does not fit the machine.
void require_room(const ExportEstimate& estimate, bool force_memory);

}  // namespace qvl
