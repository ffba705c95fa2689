// Tells checkpoints apart without reading all their weights.
#pragma once

#include <cstddef>
#include <string>

#include "checkpoint/checkpoint.h"

namespace qvl {

inline constexpr std::size_t kFingerprintDigits = 64;

// SHA-256 over every tensor's name, dtype, shape and first 4096 bytes: fine-tunes of one model, which agree
// in all else, differ in it. Hexadecimal.
[[nodiscard]] std::string checkpoint_fingerprint(const Checkpoint& checkpoint);

}  // namespace qvl
