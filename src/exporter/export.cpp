#include "qvl/export.h"

#include "core/staging_folder.h"
#include "exporter/export_run.h"

namespace qvl {

ExportResult export_checkpoint(const ExportOptions& options) { return ExportRun(options).run(); }

ExportEstimate estimate_export(const ExportOptions& options) {
  ExportEstimate estimate;
  if (options.preset.empty()) {
    estimate = ExportRun(options).estimate();
  } else {
    const ExportPlan plan(options, source_from_preset(options.preset));
    estimate = plan.estimate(plan.manifest());
  }
  // An export begins with their removal.
  if (estimate.disk_available_bytes)
    *estimate.disk_available_bytes += StagingFolder::leftover_bytes(options.out);
  return estimate;
}

}  // namespace qvl
