// Patterns for names: * stands for any bytes, / among them, or none; ? for one byte; all else for itself.
#pragma once

#include <string_view>

namespace qvl {

// Takes at most pattern times name steps.
[[nodiscard]] bool fits_pattern(std::string_view pattern, std::string_view name) noexcept;

}  // namespace qvl
