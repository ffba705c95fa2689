// How long work reports its progress, and how it is stopped.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "qvl/error.h"

namespace qvl {

// Receives the progress of one long piece of work. Calls come from one thread at a time. The library itself
// never prints.
class QVL_API Progress {
 public:
  virtual ~Progress();
  // A stage begins; `total_bytes` is what it will process (0: unknown).
  virtual void begin(std::string_view stage, std::uint64_t total_bytes) = 0;
  virtual void advance(std::uint64_t bytes) = 0;
  virtual void end() = 0;
};

// Set from any thread or from a signal handler; long work looks at it between blocks and throws Interrupted.
class QVL_API CancelToken {
 public:
  void cancel() noexcept { flag_.store(true, std::memory_order_relaxed); }
  [[nodiscard]] bool cancelled() const noexcept { return flag_.load(std::memory_order_relaxed); }
  void throw_if_cancelled() const;

 private:
  std::atomic<bool> flag_{false};
};

}  // namespace qvl
