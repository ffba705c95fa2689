// Where a model runs.
#pragma once

#include <optional>
#include <string_view>

namespace qvl {

enum class Provider { cpu, cuda };

// "cpu", "cuda"
[[nodiscard]] std::string_view name(Provider provider) noexcept;
[[nodiscard]] std::optional<Provider> provider_from_name(std::string_view name) noexcept;

}  // namespace qvl
