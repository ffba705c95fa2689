// The sizes of Qwen2.5-VL that are on the hub, told by their shape.
#pragma once

#include <optional>
#include <string_view>

#include "models/qwen25vl/model_config.h"

namespace qvl::qwen25vl {

// "3b", "7b", "32b" or "72b"; nothing for another shape. Fine-tunes have the shape of what they were made
// from.
[[nodiscard]] std::optional<std::string_view> published_size(const TextConfig& text);

}  // namespace qvl::qwen25vl
