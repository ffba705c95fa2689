// A .npz file: NumPy arrays by name, in a zip archive of .npy members.
// The format: https://numpy.org/doc/stable/reference/generated/numpy.savez.html
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/npy_header.h"
#include "core/tensor.h"

namespace qvl {

struct NpzEntry {
  std::string name;  // of the array: the member's without ".npy"
  NpyHeader header;
};

// Reads archives as numpy.savez and numpy.savez_compressed write them (members stored or deflated; zip64).
// Not to be used by several threads at once.
class NpzFile {
 public:
  // Reads the list of members and the header of each. Throws InputError when it is no zip archive, when a
  // member is not a .npy file that can be read (see parse_npy_header), when its size is not what its header
  // says, or more than its compressed bytes can hold, and when members have one name, or together take more
  // than the file has.
  explicit NpzFile(const std::filesystem::path& path);
  // The whole archive in memory, which must outlive this object; `source` names it in messages.
  NpzFile(std::span<const std::byte> bytes, std::string source);
  ~NpzFile();
  NpzFile(NpzFile&&) noexcept;
  NpzFile& operator=(NpzFile&&) noexcept;

  // In the order of the archive.
  [[nodiscard]] const std::vector<NpzEntry>& entries() const noexcept;

  // The array, in C order whatever its order in the file. `index` is one of entries(). Throws InputError when
  // its bytes cannot be decompressed to exactly what its header says, or do not have their checksum.
  [[nodiscard]] Tensor read(std::size_t index) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace qvl
