// Samples for a model that qvl knows nothing of: a folder with one file of named tensors a sample.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace qvl {

class TensorSamples {
 public:
  // Lists the folder's .safetensors and .npz files in the byte order of their names, the first `limit` of
  // them (0: all). Hidden files and other files are no samples. Throws InputError when there is no such
  // folder, or no sample in it. The files are not opened.
  explicit TensorSamples(const std::filesystem::path& folder, std::size_t limit = 0);

  [[nodiscard]] std::size_t size() const noexcept { return files_.size(); }
  // The file's name, without the folder.
  [[nodiscard]] std::string name(std::size_t index) const;
  // Of the file's bytes: 64 hexadecimal digits. Throws InputError when it cannot be read.
  [[nodiscard]] std::string sha256(std::size_t index) const;
  // Reads the file's tensors, ordered by name. Throws InputError that names the file when it is broken or has
  // no tensor. Several threads may load at once.
  [[nodiscard]] std::vector<std::pair<std::string, Tensor>> load(std::size_t index) const;

 private:
  std::vector<std::filesystem::path> files_;
};

}  // namespace qvl
