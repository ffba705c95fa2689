// How the range of an activation is chosen from what was observed.
#pragma once

#include <compare>
#include <string>
#include <string_view>

namespace qvl {

enum class RangeRule {
  minmax,      // all of it
  percentile,  // without the outermost values
  entropy,     // the range whose rounding changes the distribution least
};

// As text: minmax, percentile:P (percentile:99.99: a half of 0.01 % is left out at either end), entropy. The
// rules are defined in quant/range_calibrator.h.
struct Calibration {
  RangeRule rule = RangeRule::minmax;
  double percentile = 0;  // 50 to 100; of RangeRule::percentile, else 0

  auto operator<=>(const Calibration&) const = default;
};

// Throws UsageError, naming the text and what exists.
[[nodiscard]] Calibration parse_calibration(std::string_view text);
// parse_calibration() of it gives the calibration back.
[[nodiscard]] std::string to_string(const Calibration& calibration);

// Throws UsageError for one without a name.
void check(const Calibration& calibration);

}  // namespace qvl
