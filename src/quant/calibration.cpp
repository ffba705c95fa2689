#include "quant/calibration.h"

#include <fmt/format.h>

#include <charconv>

#include "qvl/error.h"

namespace qvl {
namespace {

[[noreturn]] void refuse(std::string_view text) {
  throw UsageError(
      fmt::format("no calibration \"{}\"; there are minmax, percentile:P and entropy, P being from 50 to "
                  "100 (as percentile:99.99)",
                  text));
}

bool is_percentile(double percentile) { return percentile >= 50 && percentile <= 100; }

}  // namespace

Calibration parse_calibration(std::string_view text) {
  constexpr std::string_view kPercentile = "percentile:";
  if (text == "minmax") return {RangeRule::minmax, 0};
  if (text == "entropy") return {RangeRule::entropy, 0};
  if (text.starts_with(kPercentile)) {
    const char* const end = text.data() + text.size();
    double percentile = 0;
    const auto [stop, error] =
        std::from_chars(text.data() + kPercentile.size(), end, percentile, std::chars_format::fixed);
    if (error == std::errc() && stop == end && is_percentile(percentile)) {
      return {RangeRule::percentile, percentile};
    }
  }
  refuse(text);
}

std::string to_string(const Calibration& calibration) {
  switch (calibration.rule) {
    case RangeRule::percentile:
      return fmt::format("percentile:{}", calibration.percentile);
    case RangeRule::entropy:
      return "entropy";
    case RangeRule::minmax:
      break;
  }
  return "minmax";
}

void check(const Calibration& calibration) {
  const bool named = calibration.rule == RangeRule::percentile ? is_percentile(calibration.percentile)
                                                               : calibration.percentile == 0;
  if (!named) refuse(to_string(calibration));
}

}  // namespace qvl
