#include "core/staging_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/output_file.h"
#include "qvl/error.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = ".qvl-partial-";
constexpr const char* kLockName = ".lock";

// Opens and locks the lock file of a staging folder; -1 when another process holds it or it cannot be opened.
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

StagingFolder::StagingFolder(fs::path folder) : folder_(std::move(folder)) {
  std::error_code error;
  for (fs::path p = folder_; !p.empty() && !fs::exists(p, error); p = p.parent_path())
    made_.insert(made_.begin(), p);
  fs::create_directories(folder_, error);
  if (error) throw_write_error(folder_, error.value());
  if (!fs::is_directory(folder_, error)) {
    throw InputError(fmt::format("{} is not a folder; name a folder to write to", folder_.string()));
  }
  remove_leftovers();
  staging_ = folder_ / fmt::format("{}{}", kPrefix, ::getpid());
  fs::remove_all(staging_, error);
  if (::mkdir(staging_.c_str(), 0777) != 0) {
    const int reason = errno;
    for (auto it = made_.rbegin(); it != made_.rend(); ++it) ::rmdir(it->c_str());
    throw_write_error(folder_, reason);
  }
  lock_ = try_lock(staging_, O_CREAT);
}

StagingFolder::~StagingFolder() {
  std::error_code ignored;
  fs::remove_all(staging_, ignored);
  if (lock_ >= 0) ::close(lock_);
  if (!published_) {
    for (auto it = made_.rbegin(); it != made_.rend(); ++it) ::rmdir(it->c_str());
  }
}

void StagingFolder::publish(const std::vector<std::string>& names) {
  published_ = true;
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

}  // namespace qvl
