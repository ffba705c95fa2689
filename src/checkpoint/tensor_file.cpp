#include "checkpoint/tensor_file.h"

#include <algorithm>
#include <array>

#include "checkpoint/npz.h"
#include "checkpoint/safetensors.h"
#include "core/mapped_file.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

bool is_archive(const fs::path& path) {
  if (path.extension() == ".npz") return true;
  constexpr std::array kZip{std::byte{'P'}, std::byte{'K'}};
  const MappedFile file(path);
  return file.bytes().size() >= kZip.size() && std::ranges::equal(file.bytes().first(kZip.size()), kZip);
}

NamedTensors read_archive(const fs::path& path) {
  const NpzFile file(path);
  NamedTensors tensors;
  tensors.reserve(file.entries().size());
  for (std::size_t i = 0; i < file.entries().size(); ++i)
    tensors.emplace_back(file.entries()[i].name, file.read(i));
  return tensors;
}

}  // namespace

NamedTensors read_tensor_file(const fs::path& path) {
  if (is_archive(path)) return read_archive(path);
  const SafetensorsFile file(path);
  NamedTensors tensors;
  tensors.reserve(file.entries().size());
  for (const TensorEntry& entry : file.entries()) {
    Tensor tensor(entry.dtype, entry.shape);
    file.read(entry, 0, tensor.bytes());
    tensors.emplace_back(entry.name, std::move(tensor));
  }
  return tensors;
}

}  // namespace qvl
