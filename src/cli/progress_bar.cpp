#include "cli/progress_bar.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace qvl::cli {
std::string human_bytes(std::uint64_t bytes) {
  constexpr std::array kUnits{"B", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1000 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.2f} {}", value, kUnits[unit]);
}

void ProgressBar::begin(std::string_view stage, std::uint64_t total_bytes) {
  stage_ = stage;
  total_bytes_ = total_bytes;
  done_bytes_ = 0;
  start_ = Clock::now();
  line_.wait();
  if (line_.terminal()) draw(false);
}

void ProgressBar::advance(std::uint64_t bytes) {
  done_bytes_ += bytes;
  if (line_.is_due()) draw(false);
}

// What a stage skipped, since it was there already, is done as well.
void ProgressBar::end() {
  done_bytes_ = std::max(done_bytes_, total_bytes_);
  draw(true);
}

std::string ProgressBar::figures() const {
  const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  if (total_bytes_ == 0) return fmt::format("{:.1f} s", seconds);
  const double rate = seconds > 0 ? static_cast<double>(done_bytes_) / seconds : 0;
  std::string text = fmt::format("{} of {}, {}/s", human_bytes(done_bytes_), human_bytes(total_bytes_),
                                 human_bytes(static_cast<std::uint64_t>(rate)));
  if (done_bytes_ < total_bytes_ && rate > 0) {
    text += fmt::format(", {:.0f} s left", static_cast<double>(total_bytes_ - done_bytes_) / rate);
  }
  return text;
}

void ProgressBar::draw(bool final) {
  const double share = total_bytes_ == 0
                           ? (final ? 1.0 : 0.0)
                           : static_cast<double>(done_bytes_) / static_cast<double>(total_bytes_);
  line_.draw(stage_ + ": " + figures(), share);
  if (final) line_.end();
}

}  // namespace qvl::cli
