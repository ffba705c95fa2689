// A line of progress on stderr: drawn again and again on a terminal, with a bar; elsewhere now and then a line of
// its own.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace qvl::cli {

class ProgressLine {
 public:
  // `plain_pause`: how long to be silent where there is no terminal.
  ProgressLine(bool terminal, std::chrono::seconds plain_pause)
      : terminal_(terminal), plain_pause_(plain_pause) {}
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // Whether stderr is a terminal.
  static bool on_terminal();

  [[nodiscard]] bool terminal() const noexcept { return terminal_; }
  // Whether what was drawn last has stood for long enough.
  [[nodiscard]] bool is_due() const;
  // What follows is not drawn before its time.
  void wait();
  // `share` of the work that is done, 0 to 1; without it there is no bar.
  void draw(const std::string& text, std::optional<double> share = std::nullopt);
  // Nothing more is drawn over the line that is there.
  void end();

 private:
  using Clock = std::chrono::steady_clock;

  bool terminal_;
  std::chrono::seconds plain_pause_;
  Clock::time_point drawn_;
  bool open_ = false;  // a line of the terminal is drawn and not ended
};

}  // namespace qvl::cli
