#include "core/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "qvl/error.h"

namespace qvl {

void throw_write_error(const std::filesystem::path& place, int error) {
  const std::string what = fmt::format("cannot write {}: {}", place.string(), std::strerror(error));
  if (error == ENOSPC || error == EDQUOT) {
    throw MachineError(what + "; free some space or choose another place");
  }
  if (error == EIO || error == ENOMEM || error == EMFILE || error == ENFILE) throw MachineError(what);
  throw InputError(what + "; choose a place that can be written");
}

OutputFile::OutputFile(std::filesystem::path place) : place_(std::move(place)) {
  static std::atomic<unsigned> counter{0};
  temporary_ = place_.parent_path() /
               fmt::format(".{}.{}-{}.partial", place_.filename().string(), ::getpid(), counter.fetch_add(1));
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd_ < 0) throw_write_error(place_, errno);
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) {
    ::close(fd_);
    ::unlink(temporary_.c_str());
  }
}

void OutputFile::append(std::span<const std::byte> bytes) { write_at(end_, bytes); }

void OutputFile::append(std::string_view text) { append(std::as_bytes(std::span(text))); }

void OutputFile::write_at(std::uint64_t offset_bytes, std::span<const std::byte> bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n =
        ::pwrite(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset_bytes + done));
    if (n < 0) {
      if (errno == EINTR) continue;
      throw_write_error(place_, errno);
    }
    done += static_cast<std::size_t>(n);
  }
  std::uint64_t seen = end_.load();
  while (seen < offset_bytes + bytes.size() &&
         !end_.compare_exchange_weak(seen, offset_bytes + bytes.size())) {
  }
}

void OutputFile::reserve(std::uint64_t size_bytes) {
  if (size_bytes == 0) return;
  // File systems without fallocate (the call says so) only get the length.
  if (::fallocate(fd_, 0, 0, static_cast<off_t>(size_bytes)) != 0) {
    if (errno != EOPNOTSUPP && errno != ENOSYS) throw_write_error(place_, errno);
    if (::ftruncate(fd_, static_cast<off_t>(size_bytes)) != 0) throw_write_error(place_, errno);
  }
  end_ = size_bytes;
}

void OutputFile::commit() {
  const int closed = ::close(fd_);
  const int error = errno;
  fd_ = -1;
  if (closed != 0) {
    ::unlink(temporary_.c_str());
    throw_write_error(place_, error);
  }
  if (::rename(temporary_.c_str(), place_.c_str()) != 0) {
    const int rename_error = errno;
    ::unlink(temporary_.c_str());
    throw_write_error(place_, rename_error);
  }
}

void write_file(const std::filesystem::path& place, std::string_view text) {
  OutputFile file(place);
  file.append(text);
  file.commit();
}

}  // namespace qvl
