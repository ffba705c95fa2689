#include "cli/sensitivity_progress.h"

#include <fmt/format.h>

#include <algorithm>

namespace qvl::cli {

std::string duration_text(double seconds) {
  const auto whole = static_cast<long>(seconds + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

std::string progress_figures(const SensitivityProgress& progress, double seconds) {
  std::string text = fmt::format("{:.0f} of {:.0f} units", progress.units_done, progress.units);
  if (progress.units_done < 0.5) return text;
  const double each = seconds / progress.units_done;
  return text + fmt::format(", {:.2g} s a unit, {} left", each,
                            duration_text(each * std::max(0.0, progress.units - progress.units_done)));
}

void SensitivityBar::show(const SensitivityProgress& progress) {
  const bool begins = progress.stage != stage_;
  if (begins) {
    line_.end();
    stage_ = progress.stage;
    start_ = Clock::now();
    ended_ = false;
  }
  const bool ends = progress.units > 0 && progress.units_done > progress.units - 1e-6;
  if (ended_ || (!begins && !ends && !line_.is_due())) return;
  ended_ = ends;
  const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  if (progress.units > 0) {
    line_.draw(stage_ + ": " + progress_figures(progress, seconds), progress.units_done / progress.units);
  } else {
    line_.draw(stage_);
  }
  if (ends) line_.end();
}

}  // namespace qvl::cli
