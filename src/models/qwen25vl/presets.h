// The shapes of Qwen2.5-VL that are on the hub, and a tiny one of our own.
#pragma once

#include <span>

#include "models/preset.h"

namespace qvl::qwen25vl {

// "tiny", "3b", "7b", "32b", "72b"
[[nodiscard]] std::span<const Preset> presets();

}  // namespace qvl::qwen25vl
