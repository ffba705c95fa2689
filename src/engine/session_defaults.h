// How the engine loads models.
#pragma once

#include "runtime/session_options.h"

namespace qvl {

// `threads` as in SessionOptions.
[[nodiscard]] inline SessionOptions engine_session_options(Provider provider, int threads) {
  SessionOptions options;
  options.provider = provider;
  options.threads = threads;
  options.memory_pattern = false;  // the sequence grows with every step
  return options;
}

}  // namespace qvl
