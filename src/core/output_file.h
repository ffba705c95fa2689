// Files that appear whole or not at all.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string_view>

#include "qvl/progress.h"

namespace qvl {

// Written under a temporary name beside its place; commit() renames it. Without commit() it is removed and
// what was at its place stays. Throws InputError where the place cannot be written, MachineError when the
// disk is full or fails.
class OutputFile {
 public:
  // Large files that nobody reads soon may bypass the page cache: no copy into it, and what is read stays in
  // it.
  enum class Cache { use, bypass };

  explicit OutputFile(std::filesystem::path place, Cache cache = Cache::use);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void append(std::span<const std::byte> bytes);
  void append(std::string_view text);
  // At any offset, also beyond the end; append() goes on behind the furthest byte written. Several threads
  // may write different places at once. With Cache::bypass memory aligned to kDirectBytes goes to the disk
  // directly, where the file system can and as long as the disk keeps up.
  void write_at(std::uint64_t offset_bytes, std::span<const std::byte> bytes);
  // Takes the space on the disk now, so that a full disk shows before the work, and makes the file this long.
  void reserve(std::uint64_t size_bytes);
  // Becomes a file with the bytes of `from` that shares its blocks until one of the two is changed, where the
  // file system can. Tells whether it did; where not, nothing has changed.
  [[nodiscard]] bool share_blocks(const std::filesystem::path& from);
  [[nodiscard]] std::uint64_t size_bytes() const noexcept { return end_; }

  void commit();

  static constexpr std::uint64_t kDirectBytes = 4096;  // alignment of offset, memory and size

 private:
  void write_cached(std::uint64_t offset_bytes, std::span<const std::byte> bytes);
  // Returns how many bytes it wrote: less than all when the rest has to go through the cache.
  std::size_t write_direct(std::uint64_t offset_bytes, std::span<const std::byte> bytes);
  void close_all() noexcept;

  std::filesystem::path place_;
  std::filesystem::path temporary_;
  int fd_ = -1;
  int direct_fd_ = -1;  // the same file, past the cache; -1: not wanted or not possible
  std::atomic<bool> direct_{false};
  std::atomic<std::uint64_t> direct_bytes_{0};
  std::atomic<std::uint64_t> direct_ns_{0};  // spent in direct writes, summed over the threads
  std::atomic<std::uint64_t> end_{0};
};

// The whole file in one call.
void write_file(const std::filesystem::path& place, std::string_view text);

// A file of its own with the bytes of another: blocks are shared where the file system can, else copied.
// `cancel` may be null, `advance` is told of the bytes done.
void copy_file(const std::filesystem::path& from, const std::filesystem::path& place,
               const CancelToken* cancel, const std::function<void(std::uint64_t)>& advance);

// A hard link of `from` where `link` is true and the file system can, else a copy by copy_file(). Tells
// whether it is a link.
bool link_or_copy(const std::filesystem::path& from, const std::filesystem::path& place, bool link,
                  const CancelToken* cancel, const std::function<void(std::uint64_t)>& advance);

// Where an output file will be: `place`, or what it points to when it is a symbolic link. Throws InputError
// when a folder, a device or a pipe stands there, or when its folder is missing: to be asked before long
// work.
[[nodiscard]] std::filesystem::path output_place(const std::filesystem::path& place);

// Throws the Error that fits an errno of a failed write: MachineError for a full or failing disk, else
// InputError.
[[noreturn]] void throw_write_error(const std::filesystem::path& place, int error);

}  // namespace qvl
