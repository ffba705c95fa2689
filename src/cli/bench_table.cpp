#include "cli/bench_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace qvl::cli {
namespace {

// Characters, not bytes: "µs" has two.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

// Four digits, as far as they lie behind the point.
std::string four_digits(double value) {
  if (value < 10) return fmt::format("{:.3f}", value);
  if (value < 100) return fmt::format("{:.2f}", value);
  return fmt::format("{:.1f}", value);
}

}  // namespace

std::string BenchTable::text() const {
  const std::size_t columns = rows_.front().size();
  std::vector<std::size_t> widths(columns, 3);
  for (const auto& row : rows_) {
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], width_of(row[c]));
  }
  std::string text;
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      const std::string cell = c < rows_[r].size() ? rows_[r][c] : "";
      const std::string space(widths[c] - width_of(cell), ' ');
      text += c == 0 ? fmt::format("| {}{} ", cell, space) : fmt::format("| {}{} ", space, cell);
    }
    text += "|\n";
    if (r > 0) continue;
    for (std::size_t c = 0; c < columns; ++c) {
      text += c == 0 ? fmt::format("|-{}-", std::string(widths[c], '-'))
                     : fmt::format("|-{}:", std::string(widths[c], '-'));
    }
    text += "|\n";
  }
  return text;
}

std::string time_text(double seconds) {
  if (seconds >= 1) return four_digits(seconds) + " s";
  if (seconds >= 1e-3) return four_digits(seconds * 1e3) + " ms";
  return four_digits(seconds * 1e6) + " µs";
}

std::string rate_text(double per_second, const std::string& unit) {
  constexpr std::array<std::pair<double, const char*>, 3> kPrefixes{{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}}};
  if (per_second <= 0) return "n/a";
  for (const auto& [size, prefix] : kPrefixes) {
    if (per_second >= size) return fmt::format("{} {}{}/s", four_digits(per_second / size), prefix, unit);
  }
  return fmt::format("{} {}/s", four_digits(per_second), unit);
}

std::string count_text(double count) {
  return count >= 1000 ? fmt::format("{:.0f}", count) : fmt::format("{:.3g}", count);
}

std::string share_text(double share) { return share <= 0 ? "n/a" : spread_text(share); }

std::string spread_text(double share) {
  return share < 0.1 ? fmt::format("{:.1f}%", share * 100) : fmt::format("{:.0f}%", share * 100);
}

std::string memory_text(const std::optional<std::uint64_t>& bytes) {
  if (!bytes) return "n/a";
  return fmt::format("{:.0f} MiB", static_cast<double>(*bytes) / (1024 * 1024));
}

}  // namespace qvl::cli
