#include "core/staging_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

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
    remove_leftovers();
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

void StagingFolder::remove_leftovers() const {
  std::error_code error;
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    if (!it->path().filename().string().starts_with(kPrefix)) continue;
    const int lock = try_lock(it->path(), 0);
    const bool without_lock = lock < 0 && !fs::exists(it->path() / kLockName, error);
    if (lock < 0 && !without_lock) continue;
    std::error_code ignored;
    fs::remove_all(it->path(), ignored);
    if (lock >= 0) ::close(lock);
  }
}

void StagingFolder::remove_made() const noexcept {
  for (auto it = made_.rbegin(); it != made_.rend(); ++it) ::rmdir(it->c_str());
}

}  // namespace qvl
