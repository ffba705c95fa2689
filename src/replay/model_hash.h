// Which model it is that numbers were measured on.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "qvl/progress.h"

namespace qvl {

// SHA-256 of texts, each on a line of its own.
[[nodiscard]] std::string hash_of_lines(std::span<const std::string> lines);

// Of everything that a model's numbers depend on: its graphs and their data files, in order, and of a model
// folder (else empty) the configs that make its inputs. `known`: hashes by file name that need not be
// computed. `cancel` may be null.
[[nodiscard]] std::string model_hash(std::vector<std::filesystem::path> files,
                                     const std::filesystem::path& folder,
                                     const std::unordered_map<std::string, std::string>& known, int threads,
                                     const CancelToken* cancel);

}  // namespace qvl
