// Turns a CancelToken, which can only be looked at, into a call.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "qvl/progress.h"

namespace qvl {

// While it lives, the process's one watching thread looks at the token every few milliseconds and calls
// `on_cancel` once, from that thread, when it is set. `on_cancel` must be short, must not throw, and must not
// make or end a watch. With a null token nothing is watched. Cheap: runs of a millisecond have one each. The
// destructor waits for a call that goes on. Throws MachineError where the thread cannot be started.
class CancelWatch {
 public:
  CancelWatch(const CancelToken* token, std::function<void()> on_cancel);
  ~CancelWatch();
  CancelWatch(const CancelWatch&) = delete;
  CancelWatch& operator=(const CancelWatch&) = delete;

  static constexpr std::chrono::milliseconds kPeriod{10};

 private:
  std::uint64_t number_ = 0;  // 0: nothing is watched
};

}  // namespace qvl
