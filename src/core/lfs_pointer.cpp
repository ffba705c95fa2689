#include "core/lfs_pointer.h"

#include <fmt/format.h>

#include <string_view>
#include <system_error>

#include "core/mapped_file.h"
#include "qvl/error.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFirstWords = "version https://git-lfs.";
constexpr std::size_t kTooLong = 1024;

}  // namespace

bool is_lfs_pointer(std::span<const std::byte> bytes) noexcept {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return text.size() < kTooLong && text.starts_with(kFirstWords) &&
         text.find("\noid ") != std::string_view::npos;
}

void refuse_lfs_pointer(std::span<const std::byte> bytes, const fs::path& path) {
  if (!is_lfs_pointer(bytes)) return;
  throw InputError(fmt::format(
      "{} is a git-lfs pointer, not the file itself: run `git lfs pull` in that folder", path.string()));
}

void refuse_lfs_pointer(const fs::path& path) {
  std::error_code error;
  if (fs::is_regular_file(path, error) && fs::file_size(path, error) < kTooLong) (void)MappedFile(path);
}

}  // namespace qvl
