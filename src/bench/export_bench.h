// The speed of an export beside that of copying the same bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "bench/machine_limits.h"
#include "bench/timed_runs.h"
#include "qvl/export.h"

namespace qvl {

struct ExportBenchOptions {
  // What is exported, and how; `out`, `force`, `progress` and `cancel` do not count.
  ExportOptions export_options;
  // The program qvl: each export is a process of its own, so that its peak memory can be told.
  std::filesystem::path program = "/proc/self/exe";
  // Where exports and copies are written, in a hidden folder that is removed at the end; made when missing.
  // Empty: beside the checkpoint.
  std::filesystem::path folder;
  RunOptions runs;
  double limits_seconds = 1;
};

struct ExportBenchResult {
  std::filesystem::path folder;
  std::uint64_t files = 0;   // that an export writes; hard links of one file are one
  std::uint64_t bytes = 0;   // in them
  std::string copy_command;  // "cp --reflink=never", or "cp" where it does not know that
  Samples export_seconds;
  Samples copy_seconds;
  Samples export_by_copy;               // the ratio of each pair
  std::uint64_t export_peak_bytes = 0;  // most that was resident in any run
  std::uint64_t copy_peak_bytes = 0;
  MeasuredLimits limits;  // of the disk, for files of as many bytes as an export has
};

// Each run is a pair: `qvl export` into a new folder, then the system's cp of the files that it wrote, hard
// links once. Both times are those of a whole process; neither syncs, and between the two the export's files
// are brought to the disk, outside the times, so that cp does not have to wait for them. Blocks are copied,
// never shared, where the file system could share them.
//
// Throws what the export throws, MachineError where the disk has no room for both or there is no cp, and
// Interrupted; the hidden folder is gone afterwards in every case.
[[nodiscard]] ExportBenchResult bench_export(const ExportBenchOptions& options);

}  // namespace qvl
