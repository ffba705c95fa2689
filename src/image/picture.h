// A picture as chats name it: a file, or bytes in a data: URL.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "image/decode.h"
#include "image/rgb_image.h"
#include "qvl/progress.h"

namespace qvl {

class Picture {
 public:
  // A path, relative to `folder` unless it is absolute; file:///PATH or file://localhost/PATH, whose %XX are
  // decoded unless a file is called as written; data:…;base64,BYTES. Whether a file is there is not looked
  // at. Throws InputError for a host in a file: URL and for data that is not base64.
  [[nodiscard]] static Picture at(std::string_view reference, const std::filesystem::path& folder);

  // For messages: the path, or the beginning of the URL.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  // Equal for equal pictures that are named equally, else different.
  [[nodiscard]] const std::string& key() const noexcept { return key_; }
  [[nodiscard]] bool is_file() const noexcept { return bytes_ == nullptr; }
  // Of a file.
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

  // Of the bytes as stored. Throws InputError when they cannot be read.
  [[nodiscard]] std::string sha256(const CancelToken* cancel = nullptr) const;
  // As read_image.
  [[nodiscard]] RgbImage read(const DecodeOptions& options = {}, bool* transparent = nullptr) const;

 private:
  Picture() = default;

  std::string name_;
  std::string key_;
  std::filesystem::path path_;
  std::shared_ptr<const std::vector<std::byte>> bytes_;  // of a data: URL
};

}  // namespace qvl
