// A file mapped read-only into memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace qvl {

class MappedFile {
 public:
  MappedFile() = default;
  // Throws InputError when the file is missing, unreadable, not a regular file, or the pointer that git-lfs
  // leaves in place of one. An empty file gives no bytes.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

  // Copies destination.size() bytes from this offset without mapping their pages into our memory, for files
  // that are read through once and larger than what may be resident. Throws InputError when the file has
  // become shorter, MachineError when reading fails.
  void read(std::uint64_t offset_bytes, std::span<std::byte> destination) const;

 private:
  void unmap() noexcept;

  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  int fd_ = -1;
};

}  // namespace qvl
