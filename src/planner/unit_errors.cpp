#include "planner/unit_errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "quant/format.h"
#include "qvl/error.h"
#include "sensitivity/run_settings.h"

namespace qvl {
namespace {

double measured_error(const SensitivityReport& report, const UnitResult& unit, const FormatResult& result) {
  const bool kl = error_name(report) == "kl";
  if (result.in && (!kl || result.in->kl)) return std::max(0.0, kl ? *result.in->kl : result.in->mse);
  throw InputError(
      fmt::format("the report does not say what unit {} in {} costs when only it is quantized; a run of `qvl "
                  "sensitivity` "
                  "with --direction in (or both) is needed",
                  unit.name, result.format));
}

// By format: the mean squared error over all weights.
std::vector<double> format_noise(const SensitivityReport& report) {
  std::vector<double> noise(report.units.front().formats.size(), 0);
  for (const UnitResult& unit : report.units) {
    for (std::size_t f = 0; f < noise.size(); ++f)
      noise[f] += unit.formats[f].weight_mse * static_cast<double>(unit.parameters);
  }
  double least = std::numeric_limits<double>::infinity();
  for (const double n : noise) {
    if (n > 0) least = std::min(least, n);
  }
  for (double& n : noise) n = least < std::numeric_limits<double>::infinity() ? n / least : 1;
  return noise;
}

}  // namespace

std::string error_name(const SensitivityReport& report) {
  if (!is_measured(report.criterion)) return to_string(report.criterion);
  return report.has_logits ? "kl" : "mse";
}

std::vector<std::vector<double>> unit_errors(const SensitivityReport& report) {
  std::vector<std::vector<double>> errors;
  const bool measured = is_measured(report.criterion);
  const bool by_format = report.criterion == Criterion::weight_mse;
  std::vector<double> noise;
  if (!measured && !by_format) noise = format_noise(report);
  for (const UnitResult& unit : report.units) {
    errors.emplace_back();
    for (std::size_t f = 0; f < unit.formats.size(); ++f) {
      const FormatResult& result = unit.formats[f];
      if (measured) {
        errors.back().push_back(measured_error(report, unit, result));
        continue;
      }
      double error = result.score.value_or(0) * static_cast<double>(unit.parameters);
      if (!by_format) error *= noise[f];
      if (parse_format(result.format).activations != ActivationRounding::kept) error *= 2;
      errors.back().push_back(std::max(0.0, error));
    }
  }
  return errors;
}

}  // namespace qvl
