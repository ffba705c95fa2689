// What a quantization is reported as.
#pragma once

#include <filesystem>

#include "qvl/quantize.h"

namespace qvl::cli {

// A line a file, or one JSON object, to stdout.
void print_quantized(const QuantizeResult& result, const std::filesystem::path& folder, bool json);

}  // namespace qvl::cli
