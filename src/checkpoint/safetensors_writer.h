// Writes safetensors files.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "core/named_tensor.h"

namespace qvl {

// Laid out as safetensors_layout.h says. The file appears whole or not at all (see OutputFile, also for its
// errors). Throws UsageError for what lay_out_safetensors refuses, and for bytes that are not what shape and
// dtype ask for.
void write_safetensors(const std::filesystem::path& place, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace qvl
