// Progress of work whose bytes are counted: a bar with bytes per second and time left.
#pragma once

#include <chrono>
#include <string>

#include "cli/progress_line.h"
#include "qvl/progress.h"

namespace qvl::cli {

class ProgressBar : public Progress {
 public:
  explicit ProgressBar(bool terminal) : line_(terminal, std::chrono::seconds(10)) {}

  void begin(std::string_view stage, std::uint64_t total_bytes) override;
  void advance(std::uint64_t bytes) override;
  void end() override;

 private:
  using Clock = std::chrono::steady_clock;
  void draw(bool final);
  [[nodiscard]] std::string figures() const;

  ProgressLine line_;
  std::string stage_;
  std::uint64_t total_bytes_ = 0;
  std::uint64_t done_bytes_ = 0;
  Clock::time_point start_;
};

// "1.25 GB"
std::string human_bytes(std::uint64_t bytes);

}  // namespace qvl::cli
