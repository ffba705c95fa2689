// Files of tensors that commands write for their users, and what they may replace.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>

namespace qvl {

// Marks a file as a result, which the next result may replace: metadata for write_safetensors.
[[nodiscard]] std::map<std::string, std::string> result_metadata();

// Where a result goes. To be asked before long work. Throws UsageError, naming `option`, when the place is
// one of `inputs` (the same file, whatever its name), InputError where it cannot be written (see
// output_place) and where a file is that is neither empty nor a result written before: weights, tensors of
// others, any other file.
void require_result_place(const std::filesystem::path& place, const std::string& option,
                          std::span<const std::filesystem::path> inputs);

}  // namespace qvl
