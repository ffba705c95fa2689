#include "sensitivity/report_files.h"

#include <fmt/format.h>

#include "core/output_file.h"
#include "qvl/error.h"

namespace qvl {

void write_reports(const SensitivityReport& report, const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!std::filesystem::is_directory(folder)) {
    throw InputError(
        fmt::format("{} is no folder and cannot be made one ({}); reports are written to a folder",
                    folder.string(), error.message()));
  }
  // report.json last: what reads reports finds the others beside it.
  write_file(folder / "report.html", report_html(report));
  write_file(folder / "report.csv", report_csv(report));
  write_file(folder / "report.md", report_markdown(report));
  write_file(folder / "report.json", report_json(report));
}

}  // namespace qvl
