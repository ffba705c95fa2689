// What a file system still has.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace qvl {

// Bytes that this user can still write where the folder is, or where it will be made with its parents; of the
// current folder for an empty path. None where the system does not tell.
[[nodiscard]] std::optional<std::uint64_t> free_disk_bytes(const std::filesystem::path& folder);

}  // namespace qvl
