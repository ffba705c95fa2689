// Progress of long work on stderr: a bar with bytes per second and time left on a terminal, plain lines
// elsewhere.
#pragma once

#include <chrono>
#include <string>

#include "qvl/progress.h"

namespace qvl::cli {

class ProgressBar : public Progress {
 public:
  explicit ProgressBar(bool terminal) : terminal_(terminal) {}
  ~ProgressBar() override;

  void begin(std::string_view stage, std::uint64_t total_bytes) override;
  void advance(std::uint64_t bytes) override;
  void end() override;

  // Whether stderr is a terminal.
  static bool on_terminal();

 private:
  using Clock = std::chrono::steady_clock;
  void draw(bool final);
  [[nodiscard]] std::string figures() const;

  bool terminal_;
  std::string stage_;
  std::uint64_t total_bytes_ = 0;
  std::uint64_t done_bytes_ = 0;
  Clock::time_point start_;
  Clock::time_point drawn_;
  bool open_ = false;  // a line of the terminal is drawn and not ended
};

// "1.25 GB"
std::string human_bytes(std::uint64_t bytes);

}  // namespace qvl::cli
