// A safetensors file, mapped and checked.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "checkpoint/safetensors_header.h"
#include "core/mapped_file.h"
#include "core/tensor.h"

namespace qvl {

class SafetensorsFile {
 public:
  // Reads and checks the header; the tensors' bytes are not touched. Throws InputError (see
  // parse_safetensors_header).
  explicit SafetensorsFile(const std::filesystem::path& path);

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return file_.path(); }
  // In the order of their bytes in the file.
  [[nodiscard]] const std::vector<TensorEntry>& entries() const noexcept { return header_.entries; }
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const noexcept {
    return header_.metadata;
  }

  // Null when there is no such tensor.
  [[nodiscard]] const TensorEntry* find(std::string_view name) const;

  // Views point into the mapped file, at any alignment, and live as long as this object (moved or not).
  // Throws InputError when there is no such tensor.
  [[nodiscard]] TensorView tensor(std::string_view name) const;
  // `entry` is one of entries().
  [[nodiscard]] TensorView tensor(const TensorEntry& entry) const;

  // Copies a part of the tensor's bytes without mapping them (see MappedFile::read). `entry` is one of
  // entries(), and the part lies in it.
  void read(const TensorEntry& entry, std::uint64_t offset_bytes, std::span<std::byte> destination) const {
    file_.read(entry.begin_bytes + offset_bytes, destination);
  }

 private:
  MappedFile file_;
  SafetensorsHeader header_;
  std::unordered_map<std::string_view, std::size_t>
      by_name_;  // into header_.entries; the keys are their names
};

}  // namespace qvl
