// Progress of a sensitivity run on stderr: units done, seconds a unit, time left.
#pragma once

#include <chrono>
#include <string>

#include "cli/progress_line.h"
#include "qvl/sensitivity.h"

namespace qvl::cli {

class SensitivityBar {
 public:
  explicit SensitivityBar(bool terminal) : line_(terminal, std::chrono::seconds(30)) {}

  void show(const SensitivityProgress& progress);

 private:
  using Clock = std::chrono::steady_clock;

  ProgressLine line_;
  std::string stage_;
  Clock::time_point start_;  // of the stage
  bool ended_ = false;       // all units of the stage are done, which was shown
};

// "12 s", "7 min 30 s", "2 h 05 min"
[[nodiscard]] std::string duration_text(double seconds);
// "37 of 415 units, 1.2 s a unit, 7 min 30 s left"
[[nodiscard]] std::string progress_figures(const SensitivityProgress& progress, double seconds);

}  // namespace qvl::cli
