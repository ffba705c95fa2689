// Shapes of models that qvl knows by name: those that are on the hub, and small ones of its own.
#pragma once

#include <string_view>

namespace qvl {

struct Preset {
  std::string_view name;         // "3b"
  std::string_view hub_name;     // "Qwen2.5-VL-3B-Instruct"
  std::string_view config_json;  // the text of its config.json, as on the hub
};

}  // namespace qvl
