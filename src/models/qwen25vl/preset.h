// The shapes of Qwen2.5-VL that qvl knows by name: those that are on the hub, and a tiny one of its own.
#pragma once

#include <span>
#include <string_view>

namespace qvl {

struct Preset {
  std::string_view name;         // "tiny", "3b", "7b", "32b", "72b"
  std::string_view hub_name;     // "Qwen2.5-VL-3B-Instruct"; "qvl-tiny"
  std::string_view config_json;  // the text of its config.json, as on the hub
};

// From the smallest to the largest.
[[nodiscard]] std::span<const Preset> presets();
// Throws UsageError that lists the names when there is no such preset.
[[nodiscard]] const Preset& preset(std::string_view name);

}  // namespace qvl
