#include "sensitivity/report/report_names.h"

#include <algorithm>
#include <unordered_set>

#include "sensitivity/run_settings.h"

namespace qvl {
std::string criterion_name(Criterion criterion) {
  std::string name = to_string(criterion);
  std::ranges::replace(name, '-', '_');
  return name;
}

std::optional<Criterion> criterion_from_name(std::string_view name) {
  if (name.find('-') != std::string_view::npos) return std::nullopt;
  std::string text(name);
  std::ranges::replace(text, '_', '-');
  return find_criterion(text);
}

std::vector<std::string> formats_of(const SensitivityReport& report) {
  std::vector<std::string> formats;
  std::unordered_set<std::string> seen;
  const auto add = [&](const std::string& format) {
    if (seen.insert(format).second) formats.push_back(format);
  };
  for (const UnitResult& unit : report.units) {
    for (const FormatResult& result : unit.formats) add(result.format);
  }
  for (const WholeResult& whole : report.whole) add(whole.format);
  for (const Correlation& correlation : report.correlations) add(correlation.format);
  return formats;
}

}  // namespace qvl
