#include "core/disk_space.h"

namespace qvl {

namespace fs = std::filesystem;

std::optional<std::uint64_t> free_disk_bytes(const fs::path& folder) {
  std::error_code error;
  fs::path place = fs::absolute(folder.empty() ? fs::path(".") : folder, error);
  while (!fs::exists(place, error) && place.has_relative_path()) place = place.parent_path();
  const fs::space_info space = fs::space(place, error);
  if (error) return std::nullopt;
  return space.available;
}

}  // namespace qvl
