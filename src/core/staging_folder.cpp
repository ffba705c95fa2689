#include "core/staging_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <utility>

#include "core/output_file.h"
#include "qvl/error.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = ".qvl-partial-";
constexpr const char* kLockName = ".lock";

// Opens and locks the lock file of a staging folder; -1 when another run holds it or it cannot be opened.
int try_lock(const fs::path& staging, int flags) {
  const int fd = ::open((staging / kLockName).c_str(), O_RDWR | O_CLOEXEC | flags, 0666);
  if (fd < 0) return -1;
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    ::close(fd);
    return -1;
  }
  return fd;
}

// Calls `work` with every staging folder in `folder` that no living run holds, and holds its lock meanwhile.
void for_each_leftover(const fs::path& folder, const std::function<void(const fs::path&)>& work) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (!it->path().filename().string().starts_with(kPrefix)) continue;
    const int lock = try_lock(it->path(), 0);
    const bool without_lock = lock < 0 && !fs::exists(it->path() / kLockName, error);
    if (lock < 0 && !without_lock) continue;
    work(it->path());
    if (lock >= 0) ::close(lock);
  }
}

// A file is free when its last name is gone: one that has another name elsewhere stays.
struct InodeNames {
  std::uint64_t here = 0;
  std::uint64_t everywhere = 0;
  std::uint64_t size_bytes = 0;  // on disk
};
using Inodes = std::map<std::pair<dev_t, ino_t>, InodeNames>;

void count_inodes(const fs::path& folder, Inodes& inodes) {
  constexpr std::uint64_t kStatBlockBytes = 512;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    struct stat status{};
    if (::lstat(it->path().c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    InodeNames& names = inodes[{status.st_dev, status.st_ino}];
    ++names.here;
    names.everywhere = status.st_nlink;
    names.size_bytes = static_cast<std::uint64_t>(status.st_blocks) * kStatBlockBytes;
  }
}

}  // namespace

StagingFolder::FolderLock::FolderLock(const fs::path& folder)
    : fd_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (fd_ < 0) return;
  while (::flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
  }
}

StagingFolder::FolderLock::~FolderLock() {
  if (fd_ >= 0) ::close(fd_);
}

StagingFolder::StagingFolder(fs::path folder) : folder_(std::move(folder)) {
  try {
    make_folder();
    const FolderLock alone(folder_);
    for_each_leftover(folder_, [](const fs::path& leftover) {
      std::error_code ignored;
      fs::remove_all(leftover, ignored);
    });
    std::string name = (folder_ / fmt::format("{}XXXXXX", kPrefix)).string();
    if (::mkdtemp(name.data()) == nullptr) throw_write_error(folder_, errno);
    staging_ = name;
    lock_ = try_lock(staging_, O_CREAT);
  } catch (...) {
    remove_made();
    throw;
  }
}

StagingFolder::~StagingFolder() {
  std::error_code ignored;
  fs::remove_all(staging_, ignored);
  if (lock_ >= 0) ::close(lock_);
  if (!published_) remove_made();
}

void StagingFolder::make_folder() {
  std::error_code error;
  std::vector<fs::path> missing;  // innermost first
  for (fs::path p = folder_; !p.empty() && !fs::exists(p, error); p = p.parent_path()) missing.push_back(p);
  for (auto it = missing.rbegin(); it != missing.rend(); ++it) {
    if (::mkdir(it->c_str(), 0777) != 0 && errno != EEXIST) throw_write_error(folder_, errno);
    made_.push_back(*it);
  }
  if (!fs::is_directory(folder_, error)) {
    throw InputError(fmt::format("{} is not a folder; name a folder to write to", folder_.string()));
  }
}

void StagingFolder::publish(const std::vector<std::string>& names) {
  std::error_code error;
  for (const std::string& name : names) {
    if (fs::is_directory(folder_ / name, error)) {
      throw InputError(fmt::format("cannot write {}: a folder is there", (folder_ / name).string()));
    }
  }
  published_ = true;
  fs::remove(folder_ / names.back(), error);
  for (const std::string& name : names) {
    const fs::path place = folder_ / name;
    if (::rename((staging_ / name).c_str(), place.c_str()) != 0) throw_write_error(place, errno);
  }
}

std::uint64_t StagingFolder::leftover_bytes(const fs::path& folder) {
  Inodes inodes;
  for_each_leftover(folder, [&](const fs::path& leftover) { count_inodes(leftover, inodes); });
  std::uint64_t bytes = 0;
  for (const auto& [inode, names] : inodes) bytes += names.here == names.everywhere ? names.size_bytes : 0;
  return bytes;
}

void StagingFolder::remove_made() const noexcept {
  for (auto it = made_.rbegin(); it != made_.rend(); ++it) ::rmdir(it->c_str());
}

}  // namespace qvl
