#include "cli/progress_bar.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <iostream>

namespace qvl::cli {
namespace {

constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr auto kPlainLineEvery = std::chrono::seconds(10);
constexpr std::size_t kMostBarCells = 24;
constexpr std::size_t kLeastBarCells = 5;

std::size_t terminal_columns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

}  // namespace

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

bool ProgressBar::on_terminal() { return ::isatty(STDERR_FILENO) == 1; }

ProgressBar::~ProgressBar() {
  if (open_) std::cerr << std::endl;
}

void ProgressBar::begin(std::string_view stage, std::uint64_t total_bytes) {
  stage_ = stage;
  total_bytes_ = total_bytes;
  done_bytes_ = 0;
  start_ = drawn_ = Clock::now();
  if (terminal_) draw(false);
}

void ProgressBar::advance(std::uint64_t bytes) {
  done_bytes_ += bytes;
  const auto now = Clock::now();
  if (terminal_ ? now - drawn_ < kRedraw : now - drawn_ < kPlainLineEvery) return;
  drawn_ = now;
  draw(false);
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
  if (!terminal_) {
    std::cerr << stage_ << ": " << figures() << std::endl;
    return;
  }
  const double share = total_bytes_ == 0
                           ? (final ? 1.0 : 0.0)
                           : static_cast<double>(done_bytes_) / static_cast<double>(total_bytes_);
  // A line that wraps could not be drawn over: the bar takes what room there is, then the end of the text
  // goes.
  const std::size_t width = terminal_columns() - 1;
  std::string line = stage_ + ": " + figures();
  const std::size_t room = width > line.size() ? width - line.size() - 1 : 0;
  if (const std::size_t cells = std::min(kMostBarCells, room); cells >= kLeastBarCells) {
    const auto filled = static_cast<std::size_t>(std::min(share, 1.0) * static_cast<double>(cells) + 0.5);
    line = std::string(filled, '#') + std::string(cells - filled, '.') + " " + line;
  }
  std::cerr << "\r\x1b[K" << line.substr(0, width);
  open_ = !final;
  if (final) std::cerr << "\n";
  std::cerr << std::flush;
}

}  // namespace qvl::cli
