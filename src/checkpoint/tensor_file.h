// Named tensors of a file, whichever of the two formats it has.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace qvl {

// All tensors of a NumPy archive (told by its first bytes, or its name ending in .npz) or of a safetensors
// file, in the order of the file. Throws InputError (see NpzFile, SafetensorsFile).
[[nodiscard]] std::vector<std::pair<std::string, Tensor>> read_tensor_file(const std::filesystem::path& path);

}  // namespace qvl
