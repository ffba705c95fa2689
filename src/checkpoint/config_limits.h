// How much of a config file is read.
#pragma once

#include <cstddef>

namespace qvl {

inline constexpr std::size_t kMaxConfigBytes = std::size_t{16} << 20U;

}  // namespace qvl
