#include "core/disk_space.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>

namespace qvl {

namespace fs = std::filesystem;

namespace {

// The folder, or the nearest above it that is there.
fs::path existing(const fs::path& folder) {
  std::error_code error;
  fs::path place = fs::absolute(folder.empty() ? fs::path(".") : folder, error);
  while (!fs::exists(place, error) && place.has_relative_path()) place = place.parent_path();
  return place;
}

}  // namespace

bool can_share_blocks(const fs::path& folder) {
  const fs::path place = existing(folder);
  constexpr std::array<char, 4096> kZeros{};
  const int first = ::open(place.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  const int second = ::open(place.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  const bool shared = first >= 0 && second >= 0 &&
                      ::write(first, kZeros.data(), kZeros.size()) == static_cast<ssize_t>(kZeros.size()) &&
                      ::ioctl(second, FICLONE, first) == 0;
  if (first >= 0) ::close(first);
  if (second >= 0) ::close(second);
  return shared;
}

std::optional<std::uint64_t> free_disk_bytes(const fs::path& folder) {
  std::error_code error;
  const fs::space_info space = fs::space(existing(folder), error);
  if (error) return std::nullopt;
  return space.available;
}

}  // namespace qvl
