#include "models/qwen25vl/preset.h"

#include <fmt/format.h>

#include <string>

#include "qvl/error.h"

namespace qvl {

const Preset& preset(std::string_view name) {
  std::string names;
  for (const Preset& known : presets()) {
    if (known.name == name) return known;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", known.name);
  }
  throw UsageError(fmt::format("there is no preset {}; {} can be had", name, names));
}

}  // namespace qvl
