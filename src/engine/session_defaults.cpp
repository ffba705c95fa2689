#include "engine/session_defaults.h"

#include "core/process_memory.h"

namespace qvl {

Weights weights_that_fit(std::uint64_t f32_weights_bytes) {
  // While the copies are made, some pages of the file and the largest weight's original are there besides.
  constexpr std::uint64_t kRoomInEighths = 9;
  const auto available = available_memory_bytes();
  const bool fits = !available || f32_weights_bytes / 8 * kRoomInEighths <= *available;
  return fits ? Weights::prepared : Weights::mapped;
}

}  // namespace qvl
