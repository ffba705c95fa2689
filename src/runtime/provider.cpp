#include "runtime/provider.h"

namespace qvl {

std::string_view name(Provider provider) noexcept { return provider == Provider::cpu ? "cpu" : "cuda"; }

std::optional<Provider> provider_from_name(std::string_view text) noexcept {
  for (const Provider provider : {Provider::cpu, Provider::cuda}) {
    if (name(provider) == text) return provider;
  }
  return std::nullopt;
}

}  // namespace qvl
