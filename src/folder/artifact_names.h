// How the files of a model folder are called.
#pragma once

#include <string>
#include <string_view>

#include "models/model.h"

namespace qvl {

// "qwen2_5_vl_3b" for the published sizes, else the checkpoint folder's name in snake case.
[[nodiscard]] std::string stem_of(std::string_view folder_name, const Model& model);

// Letters, digits, '.', '_' and '-', 1 to 100 of them, the first not '.'.
[[nodiscard]] bool is_valid_stem(const std::string& stem) noexcept;

// The external data of an artifact lies beside it under this name.
[[nodiscard]] inline std::string data_file_name(const std::string& file) { return file + "_data"; }

}  // namespace qvl
