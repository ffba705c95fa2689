// Progress of a sensitivity run on stderr: units done, seconds a unit, time left.
#pragma once

#include <chrono>
#include <string>

#include "qvl/sensitivity.h"

namespace qvl::cli {

// A bar that is drawn again and again on a terminal; elsewhere a line every half a minute.
class SensitivityBar {
 public:
  explicit SensitivityBar(bool terminal) : terminal_(terminal) {}
  ~SensitivityBar();
  SensitivityBar(const SensitivityBar&) = delete;
  SensitivityBar& operator=(const SensitivityBar&) = delete;

  void show(const SensitivityProgress& progress);

 private:
  using Clock = std::chrono::steady_clock;
  void end_line();

  bool terminal_;
  std::string stage_;
  Clock::time_point start_;  // of the stage
  Clock::time_point drawn_;
  bool open_ = false;
  bool ended_ = false;  // all units of the stage are done, which was shown
};

// "12 s", "7 min 30 s", "2 h 05 min"
[[nodiscard]] std::string duration_text(double seconds);
// "37 of 415 units, 1.2 s a unit, 7 min 30 s left"
[[nodiscard]] std::string progress_figures(const SensitivityProgress& progress, double seconds);

}  // namespace qvl::cli
