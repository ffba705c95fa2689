#include "cli/progress_line.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

namespace qvl::cli {
namespace {

constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr std::size_t kMostBarCells = 24;
constexpr std::size_t kLeastBarCells = 5;

std::size_t terminal_columns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

}  // namespace

bool ProgressLine::on_terminal() { return ::isatty(STDERR_FILENO) == 1; }

ProgressLine::~ProgressLine() { end(); }

bool ProgressLine::is_due() const {
  const auto since = Clock::now() - drawn_;
  return terminal_ ? since >= kRedraw : since >= plain_pause_;
}

void ProgressLine::wait() { drawn_ = Clock::now(); }

void ProgressLine::draw(const std::string& text, std::optional<double> share) {
  drawn_ = Clock::now();
  if (!terminal_) {
    std::cerr << text << std::endl;
    return;
  }
  // A line that wraps could not be drawn over: the bar takes what room there is, then the end of the text
  // goes.
  const std::size_t width = terminal_columns() - 1;
  std::string line = text;
  const std::size_t room = width > line.size() ? width - line.size() - 1 : 0;
  if (const std::size_t cells = std::min(kMostBarCells, room); share && cells >= kLeastBarCells) {
    const auto filled =
        static_cast<std::size_t>(std::clamp(*share, 0.0, 1.0) * static_cast<double>(cells) + 0.5);
    line = std::string(filled, '#') + std::string(cells - filled, '.') + " " + line;
  }
  std::cerr << "\r\x1b[K" << line.substr(0, width) << std::flush;
  open_ = true;
}

void ProgressLine::end() {
  if (open_) std::cerr << std::endl;
  open_ = false;
}

}  // namespace qvl::cli
