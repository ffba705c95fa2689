// Sizes as users write them.
#pragma once

#include <cstdint>
#include <string>

namespace qvl::cli {

// "4GiB", "500MB", "1.5kB", "1000000". Throws UsageError naming the option for anything else and for 0.
[[nodiscard]] std::uint64_t parse_byte_size(const std::string& text, const std::string& option);

}  // namespace qvl::cli
