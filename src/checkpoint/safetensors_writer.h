// Writes safetensors files.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "core/named_tensor.h"

namespace qvl {

// Widest elements first, then by name, whatever the order given, so that every tensor is aligned to its
// elements and the same tensors give the same bytes. The file appears whole or not at all (see OutputFile,
// also for its errors). Throws UsageError for a name that occurs twice or is "__metadata__", for bytes that
// are not what shape and dtype ask for, and for names or metadata that are not UTF-8.
void write_safetensors(const std::filesystem::path& place, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace qvl
