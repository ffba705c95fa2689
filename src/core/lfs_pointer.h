// The small text that git leaves in place of a large file where git-lfs has not fetched it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace qvl {

// As the specification of git-lfs has it: less than 1024 bytes, the version line first.
[[nodiscard]] bool is_lfs_pointer(std::span<const std::byte> bytes) noexcept;

// Throws InputError that names the file and says what to do. MappedFile calls it for every file that it
// opens, so that no reader takes such a text for a broken file of its own format.
void refuse_lfs_pointer(std::span<const std::byte> bytes, const std::filesystem::path& path);

// For files that another library opens (ONNX Runtime). A file that is not there is left to it.
void refuse_lfs_pointer(const std::filesystem::path& path);

}  // namespace qvl
