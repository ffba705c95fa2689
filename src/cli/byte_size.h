// Sizes as users write them.
#pragma once

#include <cstdint>
#include <string>

namespace qvl::cli {

// "4GiB", "500mb", "1.5 TB", "1000000": kB, MB, GB and TB are decimal, KiB, MiB, GiB and TiB binary, small
// letters as good as capital ones; a plain number is bytes. Throws UsageError naming the option for anything
// else, for 0, and for what is 2^60 and more.
[[nodiscard]] std::uint64_t parse_byte_size(const std::string& text, const std::string& option);

// The same for memory: a plain number of less than a MiB lacks its unit. Throws UsageError for it, too.
[[nodiscard]] std::uint64_t parse_memory_size(const std::string& text, const std::string& option);

}  // namespace qvl::cli
