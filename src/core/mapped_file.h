// A file mapped read-only into memory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace qvl {

class MappedFile {
 public:
  MappedFile() = default;
  // Throws InputError when the file is missing, unreadable or not a regular file. An empty file gives no
  // bytes.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

  // Tells the kernel that the pages of this range, read once, are not needed in our memory any more (they
  // stay in its page cache). `range` lies in bytes().
  void release(std::span<const std::byte> range) const noexcept;

 private:
  void unmap() noexcept;

  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace qvl
