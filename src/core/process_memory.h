// What this process holds of the machine's memory, and what the machine still has.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace qvl {

struct ProcessMemory {
  std::uint64_t resident_bytes = 0;   // anonymous, file and shared together, as every mapping counts
  std::uint64_t peak_bytes = 0;       // the most that was resident since the start
  std::uint64_t anonymous_bytes = 0;  // allocated
  std::uint64_t file_bytes = 0;       // pages of mapped files
};

// From /proc/self/status; none where there is no such file.
[[nodiscard]] std::optional<ProcessMemory> process_memory();

// What can be allocated without swapping: the kernel's MemAvailable, or what a control group leaves of its
// limit where that is less; page cache that can be dropped counts as left. None where the system does not
// tell. `root` is where proc and sys lie.
[[nodiscard]] std::optional<std::uint64_t> available_memory_bytes(const std::filesystem::path& root = "/");

}  // namespace qvl
