#include "core/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/lfs_pointer.h"
#include "qvl/error.h"

namespace qvl {

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  // Without waiting: a pipe would hang until somebody writes to it, before it could be refused.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    throw InputError(fmt::format("cannot open {}: {}", path.string(), std::strerror(errno)));
  }
  struct stat info{};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    throw InputError(fmt::format("{} is not a regular file", path.string()));
  }
  size_ = static_cast<std::size_t>(info.st_size);
  if (size_ > 0) {
    void* address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    const int error = errno;
    if (address == MAP_FAILED) {
      ::close(fd);
      throw MachineError(fmt::format("cannot map {}: {}", path.string(), std::strerror(error)));
    }
    data_ = static_cast<const std::byte*>(address);
  }
  fd_ = fd;
  try {
    refuse_lfs_pointer(bytes(), path_);
  } catch (...) {
    unmap();  // no destructor runs for what was never made
    throw;
  }
}

MappedFile::~MappedFile() { unmap(); }

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      fd_(std::exchange(other.fd_, -1)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    unmap();
    path_ = std::move(other.path_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void MappedFile::read(std::uint64_t offset_bytes, std::span<std::byte> destination) const {
  std::size_t done = 0;
  while (done < destination.size()) {
    const ssize_t n = ::pread(fd_, destination.data() + done, destination.size() - done,
                              static_cast<off_t>(offset_bytes + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw MachineError(fmt::format("cannot read {}: {}", path_.string(), std::strerror(errno)));
    if (n == 0) {
      throw InputError(fmt::format("{} ends before byte {}; it had {} bytes when it was opened",
                                   path_.string(), offset_bytes + destination.size(), size_));
    }
    done += static_cast<std::size_t>(n);
  }
}

void MappedFile::unmap() noexcept {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
  if (fd_ >= 0) ::close(fd_);
  data_ = nullptr;
  size_ = 0;
  fd_ = -1;
}

}  // namespace qvl
