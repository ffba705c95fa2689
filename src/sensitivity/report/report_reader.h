// Reads report.json back.
#pragma once

#include <filesystem>
#include <string_view>

#include "qvl/sensitivity.h"

namespace qvl {

// The text is not trusted: what is no report throws InputError with the place of the field
// ("units[3].formats[\"int8\"].in.kl"). Of numbers that are null, those that may be absent are, an infinite
// SQNR is infinite, and others are NaN; written again, a report is the same text. `source` names it in
// messages.
[[nodiscard]] SensitivityReport parse_report(std::string_view json, std::string_view source);

// The file, or report.json in the folder. Throws InputError.
[[nodiscard]] SensitivityReport read_report(const std::filesystem::path& path);

}  // namespace qvl
