#include "sensitivity/report/report_names.h"

#include <array>
#include <unordered_set>
#include <utility>

namespace qvl {
namespace {

constexpr std::array<std::pair<Criterion, const char*>, 5> kCriteria{{
    {Criterion::kl, "kl"},
    {Criterion::mse, "mse"},
    {Criterion::nncf_mean_variance, "nncf_mean_variance"},
    {Criterion::weight_mse, "weight_mse"},
    {Criterion::random, "random"},
}};

}  // namespace

const char* criterion_name(Criterion criterion) {
  for (const auto& [value, name] : kCriteria) {
    if (value == criterion) return name;
  }
  return "?";
}

std::optional<Criterion> criterion_from_name(std::string_view name) {
  for (const auto& [value, known] : kCriteria) {
    if (name == known) return value;
  }
  return std::nullopt;
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
