// What a file system still has, and whether its files can share what they have.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace qvl {

// Bytes that this user can still write where the folder is, or where it will be made with its parents; of the
// current folder for an empty path. None where the system does not tell.
[[nodiscard]] std::optional<std::uint64_t> free_disk_bytes(const std::filesystem::path& folder);

// Whether two files there can share their blocks (reflinks), so that an equal file takes no space. Looks by
// two files without names. False where it cannot be found out.
[[nodiscard]] bool can_share_blocks(const std::filesystem::path& folder);

}  // namespace qvl
