// Sizes as they are written on a command line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace qvl::cli {

// "4GiB", "500MB", "1000000"; 0 for "". Throws UsageError naming the option for anything else.
[[nodiscard]] std::uint64_t parse_byte_count(std::string_view option, const std::string& text);

}  // namespace qvl::cli
