// Turns a CancelToken, which can only be looked at, into a call.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "qvl/progress.h"

namespace qvl {

// While it lives, a thread looks at the token every few milliseconds and calls `on_cancel` once, from that
// thread, when it is set. With a null token there is no thread. The destructor waits for the thread.
class CancelWatch {
 public:
  CancelWatch(const CancelToken* token, std::function<void()> on_cancel);
  ~CancelWatch();
  CancelWatch(const CancelWatch&) = delete;
  CancelWatch& operator=(const CancelWatch&) = delete;

  static constexpr std::chrono::milliseconds kPeriod{10};

 private:
  void watch(const CancelToken& token, const std::function<void()>& on_cancel);

  std::mutex mutex_;
  std::condition_variable ended_changed_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace qvl
