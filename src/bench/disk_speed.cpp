#include "bench/disk_speed.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/output_file.h"

namespace qvl {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kBlockBytes = std::size_t{1} << 20U;
constexpr std::size_t kAlignmentBytes = 4096;  // of memory and offsets under O_DIRECT
constexpr int kMostWriters = 4;

struct Method {
  bool direct;
  int writers;
};

// A file without a name.
class ScratchFile {
 public:
  // Not open (fd() is -1) when `direct` and the file system has no direct writing.
  ScratchFile(const std::filesystem::path& folder, bool direct) {
    const int mode = O_RDWR | O_CLOEXEC | (direct ? O_DIRECT : 0);
    fd_ = ::open(folder.c_str(), O_TMPFILE | mode, 0600);
    if (fd_ < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
      std::string name = (folder / ".qvl-disk-XXXXXX").string();
      fd_ = ::mkostemp(name.data(), mode & ~O_RDWR);
      if (fd_ >= 0) ::unlink(name.c_str());
    }
    if (fd_ < 0 && !(direct && errno == EINVAL)) throw_write_error(folder, errno);
  }
  ~ScratchFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  int fd_ = -1;
};

// What is written: bytes that no disk can compress or share.
class Block {
 public:
  Block() : bytes_(kBlockBytes + kAlignmentBytes) {
    std::mt19937_64 random(20);
    for (std::size_t i = 0; i + 8 <= bytes_.size(); i += 8) {
      const std::uint64_t word = random();
      std::memcpy(bytes_.data() + i, &word, 8);
    }
  }
  [[nodiscard]] const char* data() const noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(bytes_.data());
    return bytes_.data() + (kAlignmentBytes - address % kAlignmentBytes) % kAlignmentBytes;
  }

 private:
  std::vector<char> bytes_;
};

class Attempt {
 public:
  Attempt(const DiskSpeedOptions& options, const Block& block, const CancelToken* cancel)
      : options_(options), block_(block), cancel_(cancel) {}

  // Bytes per second.
  double run(const Method& method) {
    const ScratchFile file(options_.folder, method.direct);
    if (file.fd() < 0) return 0;
    const auto size = static_cast<off_t>(std::max<std::uint64_t>(options_.bytes, kBlockBytes));
    if (::fallocate(file.fd(), 0, 0, size) != 0 && errno != EOPNOTSUPP && errno != ENOSYS && errno != EINTR)
      throw_write_error(options_.folder, errno);
    const auto start = Clock::now();
    deadline_ = start + std::chrono::duration_cast<Clock::duration>(
                            std::chrono::duration<double>(2 * options_.seconds));
    {
      std::vector<std::jthread> others;
      for (int i = 1; i < method.writers; ++i) others.emplace_back([&] { write(file.fd(), size); });
      write(file.fd(), size);
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (cancel_ != nullptr) cancel_->throw_if_cancelled();
    const int error = error_.load();
    if (error != 0 && !(method.direct && error == EINVAL)) throw_write_error(options_.folder, error);
    return error == 0 && seconds > 0 ? static_cast<double>(written_.load()) / seconds : 0;
  }

 private:
  void write(int fd, off_t size) {
    while (error_.load() == 0 && (cancel_ == nullptr || !cancel_->cancelled())) {
      const off_t offset = next_.fetch_add(static_cast<off_t>(kBlockBytes));
      if (offset >= size || (offset > 0 && Clock::now() > deadline_)) return;
      const ssize_t n = ::pwrite(fd, block_.data(), kBlockBytes, offset);
      if (n >= 0) {
        written_ += static_cast<std::uint64_t>(n);
      } else if (errno != EINTR) {
        error_ = errno;
      }
    }
  }

  const DiskSpeedOptions& options_;
  const Block& block_;
  const CancelToken* cancel_;
  Clock::time_point deadline_;
  std::atomic<off_t> next_{0};
  std::atomic<std::uint64_t> written_{0};
  std::atomic<int> error_{0};
};

}  // namespace

DiskSpeed measure_disk_write(const DiskSpeedOptions& options, const CancelToken* cancel) {
  const int processors = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const int several = std::min(kMostWriters, processors);
  const std::array methods{Method{false, 1}, Method{false, several}, Method{true, several}};
  const Block block;
  DiskSpeed best;
  const auto start = Clock::now();
  do {
    for (const Method& method : methods) {
      if (cancel != nullptr) cancel->throw_if_cancelled();
      double& speed = method.direct ? best.direct : best.buffered;
      speed = std::max(speed, Attempt(options, block, cancel).run(method));
    }
  } while (std::chrono::duration<double>(Clock::now() - start).count() < options.seconds);
  return best;
}

}  // namespace qvl
