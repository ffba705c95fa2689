#include "sensitivity/report/report_files.h"

#include <fmt/format.h>

#include "core/output_file.h"
#include "core/output_folder.h"
#include "qvl/error.h"

namespace qvl {

void write_reports(const SensitivityReport& report, const std::filesystem::path& folder) {
  make_output_folder(folder);
  // report.json last: what reads reports finds the others beside it.
  write_file(folder / "report.html", report_html(report));
  write_file(folder / "report.csv", report_csv(report));
  write_file(folder / "report.md", report_markdown(report));
  write_file(folder / "report.json", report_json(report));
}

void require_report_folder(const std::filesystem::path& folder) {
  const FolderContents found = folder_contents(folder);
  const bool is_mixed = found.kind == FolderKind::other || found.kind == FolderKind::onnx;
  require_output_folder(folder, FolderKind::report, is_mixed);
  if (!is_mixed) return;
  for (const char* name : {"report.html", "report.csv", "report.md", "report.json"}) {
    if (std::error_code error; !std::filesystem::exists(folder / name, error)) continue;
    throw InputError(
        fmt::format("{} is there and is not of a report of qvl sensitivity; choose another folder",
                    (folder / name).string()));
  }
}

}  // namespace qvl
