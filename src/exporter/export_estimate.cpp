// The estimate as people read it.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "qvl/export.h"

namespace qvl {
namespace {

constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;

void add_total(std::string& table, const char* what, std::uint64_t needed,
               const std::optional<std::uint64_t>& available, bool fits) {
  fmt::format_to(std::back_inserter(table), "{}: {} bytes ({:.2f} GiB)", what, needed,
                 static_cast<double>(needed) / kGiB);
  if (available) {
    fmt::format_to(std::back_inserter(table), " of {} ({:.2f} GiB) available: {}", *available,
                   static_cast<double>(*available) / kGiB, fits ? "fits" : "DOES NOT FIT");
  }
  table += '\n';
}

}  // namespace

std::string to_table(const ExportEstimate& estimate) {
  std::size_t width = 0;
  for (const PlannedFile& file : estimate.files) width = std::max(width, file.name.size());
  std::string table;
  for (const PlannedFile& file : estimate.files) {
    std::string note;
    if (!file.hard_link_of.empty()) note = "  hard link of " + file.hard_link_of;
    if (!file.shares_blocks_with.empty()) note = "  shares the blocks of " + file.shares_blocks_with;
    fmt::format_to(std::back_inserter(table), "{:<{}} {:>15}{}\n", file.name, width, file.size_bytes, note);
  }
  add_total(table, "disk", estimate.disk_bytes, estimate.disk_available_bytes, estimate.disk_fits());
  add_total(table, "peak memory", estimate.memory_bytes, estimate.memory_available_bytes,
            estimate.memory_fits());
  return table;
}

}  // namespace qvl
