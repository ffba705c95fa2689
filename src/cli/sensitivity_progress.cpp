#include "cli/sensitivity_progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>

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

SensitivityBar::~SensitivityBar() { end_line(); }

void SensitivityBar::end_line() {
  if (open_) std::cerr << "\n";
  open_ = false;
}

void SensitivityBar::show(const SensitivityProgress& progress) {
  const Clock::time_point now = Clock::now();
  const bool begins = progress.stage != stage_;
  if (begins) {
    end_line();
    stage_ = progress.stage;
    start_ = now;
    ended_ = false;
  }
  const bool ends = progress.units > 0 && progress.units_done > progress.units - 1e-6;
  const auto pause = terminal_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(30000);
  if (ended_ || (!begins && !ends && now - drawn_ < pause)) return;
  ended_ = ends;
  drawn_ = now;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const std::string figures = progress.units > 0 ? ": " + progress_figures(progress, seconds) : "";
  if (!terminal_) {
    std::cerr << stage_ << figures << "\n";
    return;
  }
  constexpr int kWidth = 24;
  const int filled =
      progress.units > 0
          ? static_cast<int>(std::clamp(progress.units_done / progress.units, 0.0, 1.0) * kWidth)
          : 0;
  std::cerr << fmt::format("\r\x1b[K{} [{}{}]{}", stage_, std::string(static_cast<std::size_t>(filled), '#'),
                           std::string(static_cast<std::size_t>(kWidth - filled), '.'), figures)
            << std::flush;
  open_ = true;
  if (ends) end_line();
}

}  // namespace qvl::cli
