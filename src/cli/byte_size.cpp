#include "cli/byte_size.h"

#include <fmt/format.h>

#include <exception>
#include <utility>
#include <vector>

#include "qvl/error.h"

namespace qvl::cli {

std::uint64_t parse_byte_size(const std::string& text, const std::string& option) {
  std::size_t used = 0;
  double number = 0;
  try {
    number = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  const std::string unit = text.substr(used);
  const std::vector<std::pair<std::string, double>> units{
      {"", 1},     {"B", 1},        {"kB", 1e3},        {"MB", 1e6},
      {"GB", 1e9}, {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}};
  for (const auto& [name, factor] : units) {
    if (used > 0 && unit == name && number > 0 && number * factor < 1e18)
      return static_cast<std::uint64_t>(number * factor);
  }
  throw UsageError(fmt::format("{} {}: a size such as 4GiB or 500MB is expected", option, text));
}

}  // namespace qvl::cli
