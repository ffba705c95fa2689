#include "cli/byte_size.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <string_view>
#include <utility>

#include "qvl/error.h"

namespace qvl::cli {
namespace {

constexpr std::array<std::pair<std::string_view, double>, 10> kUnits{{{"", 1},
                                                                      {"b", 1},
                                                                      {"kb", 1e3},
                                                                      {"mb", 1e6},
                                                                      {"gb", 1e9},
                                                                      {"tb", 1e12},
                                                                      {"kib", 0x1p10},
                                                                      {"mib", 0x1p20},
                                                                      {"gib", 0x1p30},
                                                                      {"tib", 0x1p40}}};

}  // namespace

std::uint64_t parse_byte_size(const std::string& text, const std::string& option) {
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  std::string unit(end, text.data() + text.size());
  unit.erase(0, std::min(unit.find_first_not_of(' '), unit.size()));
  std::ranges::transform(unit, unit.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto known = std::ranges::find(kUnits, unit, &std::pair<std::string_view, double>::first);
  if (error == std::errc() && known != kUnits.end() && number > 0) {
    const double bytes = std::floor(number * known->second);
    if (bytes >= 1 && bytes < 0x1p60) return static_cast<std::uint64_t>(bytes);
  }
  throw UsageError(
      fmt::format("{} {}: a size such as 4GiB or 500MB is expected (kB, MB, GB, TB: powers of 1000; KiB, "
                  "MiB, GiB, TiB: of 1024)",
                  option, text));
}

std::uint64_t parse_memory_size(const std::string& text, const std::string& option) {
  const std::uint64_t bytes = parse_byte_size(text, option);
  const bool has_unit = std::ranges::any_of(text, [](unsigned char c) { return std::isalpha(c) != 0; });
  if (has_unit || bytes >= std::uint64_t{1} << 20U) return bytes;
  throw UsageError(fmt::format("{} {} is {} bytes; a size with its unit is expected ({}GiB, {}MB)", option,
                               text, bytes, text, text));
}

}  // namespace qvl::cli
