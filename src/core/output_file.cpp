#include "core/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include "core/mapped_file.h"
#include "qvl/error.h"

namespace qvl {

void throw_write_error(const std::filesystem::path& place, int error) {
  const std::string what = fmt::format("cannot write {}: {}", place.string(), std::strerror(error));
  if (error == ENOSPC || error == EDQUOT) {
    throw MachineError(what + "; free some space or choose another place");
  }
  if (error == EFBIG || error == EIO || error == ENOMEM || error == EMFILE || error == ENFILE)
    throw MachineError(what);
  throw InputError(what + "; choose a place that can be written");
}

std::filesystem::path output_place(const std::filesystem::path& place) {
  namespace fs = std::filesystem;
  constexpr int kMostLinks = 40;  // as many as the kernel follows
  std::error_code error;
  fs::path target = place;
  for (int links = 0; fs::is_symlink(target, error) && links < kMostLinks; ++links) {
    const fs::path next = fs::read_symlink(target, error);
    target = next.is_absolute() ? next : target.parent_path() / next;
  }
  const fs::file_status status = fs::status(target, error);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    throw InputError(fmt::format("cannot write {}: it is there and is not a regular file", place.string()));
  }
  const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
  if (!fs::is_directory(folder, error)) {
    throw InputError(fmt::format("cannot write {}: there is no folder {}", place.string(), folder.string()));
  }
  return target;
}

OutputFile::OutputFile(std::filesystem::path place, Cache cache) : place_(output_place(place)) {
  static std::atomic<unsigned> counter{0};
  temporary_ = place_.parent_path() /
               fmt::format(".{}.{}-{}.partial", place_.filename().string(), ::getpid(), counter.fetch_add(1));
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd_ < 0) throw_write_error(place_, errno);
  if (cache == Cache::bypass) {
    direct_fd_ = ::open(temporary_.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC);
    direct_ = direct_fd_ >= 0;
  }
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) {
    close_all();
    ::unlink(temporary_.c_str());
  }
}

void OutputFile::close_all() noexcept {
  ::close(fd_);
  if (direct_fd_ >= 0) ::close(direct_fd_);
  fd_ = direct_fd_ = -1;
}

void OutputFile::append(std::span<const std::byte> bytes) { write_at(end_, bytes); }

void OutputFile::append(std::string_view text) { append(std::as_bytes(std::span(text))); }

void OutputFile::write_at(std::uint64_t offset_bytes, std::span<const std::byte> bytes) {
  // Up to the first aligned place and behind the last one: through the cache.
  const std::size_t head =
      std::min(static_cast<std::size_t>((0 - offset_bytes) % kDirectBytes), bytes.size());
  const std::size_t middle = (bytes.size() - head) / kDirectBytes * kDirectBytes;
  const auto address = reinterpret_cast<std::uintptr_t>(bytes.data()) + head;
  std::size_t done = 0;
  if (middle > 0 && direct_ && address % kDirectBytes == 0) {
    write_cached(offset_bytes, bytes.first(head));
    done = head + write_direct(offset_bytes + head, bytes.subspan(head, middle));
  }
  write_cached(offset_bytes + done, bytes.subspan(done));
  std::uint64_t seen = end_.load();
  while (seen < offset_bytes + bytes.size() &&
         !end_.compare_exchange_weak(seen, offset_bytes + bytes.size())) {
  }
}

void OutputFile::write_cached(std::uint64_t offset_bytes, std::span<const std::byte> bytes) {
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
}

std::size_t OutputFile::write_direct(std::uint64_t offset_bytes, std::span<const std::byte> bytes) {
  // A disk on which one thread waits longer is better served by the cache, which writes on after we are done.
  constexpr std::uint64_t kSlowNsPerByte = 10;  // 100 MB/s
  constexpr std::uint64_t kProbeBytes = std::uint64_t{64} << 20U;
  const auto start = std::chrono::steady_clock::now();
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::pwrite(direct_fd_, bytes.data() + done, bytes.size() - done,
                               static_cast<off_t>(offset_bytes + done));
    if (n < 0 && errno == EINTR) continue;
    // Whatever the reason (EINVAL: the file system asks for more than we align to), the cached write that
    // follows does the work or says what is wrong.
    if (n < 0 || static_cast<std::uint64_t>(n) % kDirectBytes != 0) {
      direct_ = false;
      return done;
    }
    done += static_cast<std::size_t>(n);
  }
  const std::chrono::nanoseconds spent = std::chrono::steady_clock::now() - start;
  const std::uint64_t all_bytes = direct_bytes_ += bytes.size();
  const std::uint64_t all_ns = direct_ns_ += static_cast<std::uint64_t>(spent.count());
  if (all_bytes >= kProbeBytes && all_ns > all_bytes * kSlowNsPerByte) direct_ = false;
  return done;
}

void OutputFile::reserve(std::uint64_t size_bytes) {
  if (size_bytes == 0) return;
  // File systems without fallocate (the call says so) only get the length.
  int result = 0;
  do {
    result = ::fallocate(fd_, 0, 0, static_cast<off_t>(size_bytes));
  } while (result != 0 && errno == EINTR);
  if (result != 0) {
    if (errno != EOPNOTSUPP && errno != ENOSYS) throw_write_error(place_, errno);
    if (::ftruncate(fd_, static_cast<off_t>(size_bytes)) != 0) throw_write_error(place_, errno);
  }
  end_ = size_bytes;
}

bool OutputFile::share_blocks(const std::filesystem::path& from) {
  const int source = ::open(from.c_str(), O_RDONLY | O_CLOEXEC);
  if (source < 0) return false;  // reading it will say why
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(from, error);
  const bool shared = !error && ::ioctl(fd_, FICLONE, source) == 0;
  ::close(source);
  if (shared) end_ = size;
  return shared;
}

void OutputFile::commit() {
  const int closed = ::close(std::exchange(fd_, -1));
  const int error = errno;
  if (direct_fd_ >= 0) ::close(std::exchange(direct_fd_, -1));
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

void copy_file(const std::filesystem::path& from, const std::filesystem::path& place,
               const CancelToken* cancel, const std::function<void(std::uint64_t)>& advance) {
  constexpr std::size_t kBlockBytes = std::size_t{4} << 20U;
  const MappedFile source(from);
  const std::size_t size = source.bytes().size();
  OutputFile file(place);
  if (file.share_blocks(from)) {
    if (advance) advance(size);
    return file.commit();
  }
  file.reserve(size);
  std::vector<std::byte> block;
  for (std::size_t done = 0; done < size; done += block.size()) {
    if (cancel != nullptr) cancel->throw_if_cancelled();
    block.resize(std::min(kBlockBytes, size - done));
    source.read(done, block);
    file.write_at(done, block);
    if (advance) advance(block.size());
  }
  file.commit();
}

bool link_or_copy(const std::filesystem::path& from, const std::filesystem::path& place, bool link,
                  const CancelToken* cancel, const std::function<void(std::uint64_t)>& advance) {
  std::error_code error;
  if (link) std::filesystem::create_hard_link(std::filesystem::canonical(from), place, error);
  if (link && !error) return true;
  copy_file(from, place, cancel, advance);
  return false;
}

void write_file(const std::filesystem::path& place, std::string_view text) {
  OutputFile file(place);
  file.append(text);
  file.commit();
}

}  // namespace qvl
