// Files that are read as one text.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace qvl {

// The whole file as text. Throws InputError where it cannot be read and where it has more than `max_bytes`.
[[nodiscard]] std::string read_text_file(const std::filesystem::path& path,
                                         std::size_t max_bytes = std::size_t{256} << 20U);

}  // namespace qvl
