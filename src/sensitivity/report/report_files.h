// The reports of a measured model: report.json, report.html, report.csv and report.md.
#pragma once

#include <filesystem>
#include <string>

#include "qvl/sensitivity.h"

namespace qvl {

// docs/sensitivity.md describes the keys. The same report gives the same bytes.
[[nodiscard]] std::string report_json(const SensitivityReport& report);
// One row a unit and format.
[[nodiscard]] std::string report_csv(const SensitivityReport& report);
[[nodiscard]] std::string report_markdown(const SensitivityReport& report);
// One file with its style, script and data inside; it needs no network.
[[nodiscard]] std::string report_html(const SensitivityReport& report);

// To be asked before long work. Throws InputError for a folder that holds a checkpoint, a model folder or
// other things that reports do not go beside, for files of somebody else at the reports' places, and as
// require_output_folder.
void require_report_folder(const std::filesystem::path& folder);

// Writes all four; each appears whole or not at all. Throws as core/output_file.h.
void write_reports(const SensitivityReport& report, const std::filesystem::path& folder);

}  // namespace qvl
