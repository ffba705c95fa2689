// JSON files, read whole and checked, with errors that name the file and the field.
#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

namespace qvl {

using Json = nlohmann::json;

// A key that an object has twice.
enum class RepeatedKeys { last_counts, refused };

// Parses a JSON text (UTF-8, an optional byte order mark). `source` names it in messages. Throws InputError
// with line and column for anything that is not JSON, and for nesting deeper than 256.
[[nodiscard]] Json parse_json(std::string_view text, std::string_view source,
                              RepeatedKeys repeated = RepeatedKeys::last_counts);

// Reads and parses a file of at most `max_bytes`. Throws InputError.
[[nodiscard]] Json read_json_file(const std::filesystem::path& path,
                                  std::size_t max_bytes = std::size_t{256} << 20U);

}  // namespace qvl
