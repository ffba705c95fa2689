// Tables and numbers as `qvl bench` prints them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace qvl::cli {

// A table in Markdown whose columns are aligned as plain text too: the first to the left, the others to the
// right.
class BenchTable {
 public:
  explicit BenchTable(std::vector<std::string> header) : rows_{std::move(header)} {}

  // As many cells as the header has, or fewer: the rest stays empty.
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  // Lines, each with its end.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "12.34 ms": four digits and the unit that fits.
[[nodiscard]] std::string time_text(double seconds);
// "1.234 GB/s", "61.2 GFLOP/s": the same for rates in `unit` per second; "n/a" for 0.
[[nodiscard]] std::string rate_text(double per_second, const std::string& unit);
// "10.6", "3774": three digits at least.
[[nodiscard]] std::string count_text(double count);
// "43%"; "n/a" for 0.
[[nodiscard]] std::string share_text(double share);
// "5.3%"
[[nodiscard]] std::string spread_text(double spread);
// "123 MiB"; "n/a" for nothing.
[[nodiscard]] std::string memory_text(const std::optional<std::uint64_t>& bytes);

}  // namespace qvl::cli
