#include "bench/export_bench.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <set>
#include <utility>

#include "bench/child_process.h"
#include "core/disk_space.h"
#include "core/output_file.h"
#include "core/staging_folder.h"
#include "folder/artifact_names.h"
#include "qvl/error.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

// A child's exit code as the exception that stands for it (README.md, "Exit codes").
void check_exit(const ChildResult& result, const std::string& what) {
  if (result.exit_code == 0) return;
  std::string message = result.errors;
  if (message.starts_with("qvl: ")) message.erase(0, 5);
  if (message.empty()) message = fmt::format("{} ended with the exit code {}", what, result.exit_code);
  if (result.exit_code == 2) throw UsageError(message);
  if (result.exit_code == 3) throw InputError(message);
  throw MachineError(message);
}

struct WrittenFiles {
  std::vector<std::string> paths;  // hard links of one file once
  std::uint64_t bytes = 0;
};

WrittenFiles files_in(const fs::path& folder) {
  WrittenFiles files;
  std::set<std::pair<dev_t, ino_t>> seen;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    struct stat status{};
    if (::stat(entry.path().c_str(), &status) != 0) throw_write_error(entry.path(), errno);
    if (!S_ISREG(status.st_mode) || !seen.emplace(status.st_dev, status.st_ino).second) continue;
    files.paths.push_back(entry.path().string());
    files.bytes += static_cast<std::uint64_t>(status.st_size);
  }
  std::ranges::sort(files.paths);
  return files;
}

void bring_to_disk(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    (void)::fsync(fd);
    ::close(fd);
  }
}

class ExportBench {
 public:
  explicit ExportBench(const ExportBenchOptions& options) : options_(options) {
    check_runs(options.runs);
    const fs::path checkpoint = fs::weakly_canonical(options.export_options.checkpoint);
    result_.folder = options.folder.empty() ? checkpoint.parent_path() : fs::absolute(options.folder);
    ExportOptions planned = options.export_options;
    planned.force = true;  // it goes into a folder of its own
    disk_bytes_ = estimate_export(planned).disk_bytes;
    const auto copy = find_program("cp");
    if (!copy) throw MachineError("there is no program cp in PATH; exports are compared with it");
    copy_ = {copy->string()};
  }

  ExportBenchResult run() {
    const StagingFolder scratch(result_.folder);
    scratch_ = scratch.path();
    require_space();
    choose_copy_command();
    // The warm-up comes first: it is what finds what is wrong with the checkpoint.
    for (int i = 0; i < options_.runs.warm_up; ++i) {
      one_run(options_.runs, "export and cp, warm-up", [&] { pair(false); });
    }
    result_.limits.before = limits();
    for (int i = 1; i <= options_.runs.runs; ++i) {
      one_run(options_.runs, fmt::format("export and cp, run {} of {}", i, options_.runs.runs),
              [&] { pair(true); });
    }
    result_.limits.after = limits();
    return std::move(result_);
  }

 private:
  void require_space() const {
    const std::uint64_t needed = 2 * disk_bytes_;
    const auto available = free_disk_bytes(scratch_);
    if (!available || *available >= needed) return;
    throw MachineError(fmt::format(
        "{}: an export and its copy take {} bytes, {} are free; free some space or choose another "
        "place with --out",
        result_.folder.string(), needed, *available));
  }

  // Copies that share blocks with the original, which GNU's cp makes where it can, write nothing.
  void choose_copy_command() {
    write_file(scratch_ / "probe", "probe");
    std::vector<std::string> command = copy_;
    command.insert(command.end(), {"--reflink=never", scratch_ / "probe", scratch_ / "probe2"});
    const bool knows = run_child(command, options_.runs.cancel).exit_code == 0;
    if (knows) copy_.emplace_back("--reflink=never");
    result_.copy_command = knows ? "cp --reflink=never" : "cp";
  }

  void pair(bool counts) {
    const fs::path exported = scratch_ / "export";
    const fs::path copied = scratch_ / "copy";
    const ChildResult first = run_child(export_command(exported), options_.runs.cancel);
    check_exit(first, "qvl export");
    const WrittenFiles files = files_in(exported);
    bring_to_disk(files.paths);
    fs::create_directory(copied);
    std::vector<std::string> command = copy_;
    command.insert(command.end(), files.paths.begin(), files.paths.end());
    command.push_back(copied.string());
    const ChildResult second = run_child(command, options_.runs.cancel);
    if (second.exit_code != 0) throw MachineError(second.errors.empty() ? "cp failed" : second.errors);
    fs::remove_all(copied);
    fs::remove_all(exported);
    result_.files = files.paths.size();
    result_.bytes = files.bytes;
    if (!counts) return;
    result_.export_seconds.add(first.seconds);
    result_.copy_seconds.add(second.seconds);
    result_.export_by_copy.add(first.seconds / second.seconds);
    result_.export_peak_bytes = std::max(result_.export_peak_bytes, first.peak_bytes);
    result_.copy_peak_bytes = std::max(result_.copy_peak_bytes, second.peak_bytes);
  }

  [[nodiscard]] std::vector<std::string> export_command(const fs::path& out) const {
    const ExportOptions& o = options_.export_options;
    std::vector<std::string> command{options_.program.string(),
                                     "export",
                                     fs::absolute(o.checkpoint).string(),
                                     "--out",
                                     out.string(),
                                     "--quiet",
                                     "--image-size",
                                     fmt::format("{}x{}", o.image_width_pixels, o.image_height_pixels),
                                     "--mask-type",
                                     o.mask_type == MaskType::boolean ? "bool" : "int64",
                                     "--text-dtype",
                                     o.text_in_f32 ? "f32" : "f16",
                                     "--threads",
                                     std::to_string(o.threads)};
    if (!o.only.empty()) command.insert(command.end(), {"--only", fmt::format("{}", fmt::join(o.only, ","))});
    if (!o.stem.empty()) command.insert(command.end(), {"--stem", o.stem});
    if (o.tied_head) command.emplace_back("--tied-head");
    if (o.hard_link) command.emplace_back("--hard-link");
    if (o.force_memory) command.emplace_back("--force-memory");
    return command;
  }

  [[nodiscard]] MachineLimits limits() const {
    return measure_limits({.seconds = options_.limits_seconds,
                           .disk = true,
                           .disk_folder = scratch_,
                           .disk_bytes = result_.bytes > 0 ? result_.bytes : disk_bytes_,
                           .progress = options_.runs.progress,
                           .cancel = options_.runs.cancel});
  }

  const ExportBenchOptions& options_;
  ExportBenchResult result_;
  fs::path scratch_;
  std::uint64_t disk_bytes_ = 0;
  std::vector<std::string> copy_;
};

}  // namespace

ExportBenchResult bench_export(const ExportBenchOptions& options) { return ExportBench(options).run(); }

}  // namespace qvl
