#include "bench/sensitivity_bench.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "qvl/error.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

// Gone again when the run is over, whatever became of it.
class ScratchFolder {
 public:
  explicit ScratchFolder(const fs::path& folder)
      : path_(folder / fmt::format(".qvl-bench-sensitivity-{}", ::getpid())) {}
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  [[nodiscard]] const fs::path& path() const noexcept { return path_; }

 private:
  fs::path path_;
};

}  // namespace

std::vector<SensitivityBenchRow> bench_sensitivity(const SensitivityBenchOptions& options) {
  if (options.every < 1)
    throw UsageError(fmt::format("every {}th unit; 1 or more is expected", options.every));
  std::vector<SensitivityBenchRow> rows;
  for (const std::string& format : options.run.formats) {
    const ScratchFolder scratch(options.run.report);
    SensitivityOptions run = options.run;
    run.report = scratch.path();
    run.formats = {format};
    run.shard = {0, options.every};
    const SensitivityRun result = measure_sensitivity(run);
    SensitivityBenchRow row;
    row.format = format;
    row.units = static_cast<std::int64_t>(result.report.units.size());
    row.measured = (row.units + options.every - 1) / options.every;
    row.seconds = result.seconds;
    double by_unit = 0;
    for (const SensitivityStage& stage : result.stages) by_unit += stage.by_unit ? stage.seconds : 0;
    row.fixed_seconds = row.seconds - by_unit;
    row.seconds_per_unit = by_unit / static_cast<double>(row.measured);
    row.projected_seconds = row.fixed_seconds + row.seconds_per_unit * static_cast<double>(row.units);
    row.passes = result.passes;
    row.peak_bytes = result.peak_bytes;
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace qvl
