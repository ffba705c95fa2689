#include "runtime/cancel_watch.h"

#include <system_error>
#include <utility>

#include "qvl/error.h"

namespace qvl {

CancelWatch::CancelWatch(const CancelToken* token, std::function<void()> on_cancel) {
  if (token == nullptr) return;
  try {
    thread_ = std::thread([this, token, call = std::move(on_cancel)] { watch(*token, call); });
  } catch (const std::system_error& error) {
    throw MachineError(std::string("cannot start a thread: ") + error.what());
  }
}

CancelWatch::~CancelWatch() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  ended_changed_.notify_one();
  thread_.join();
}

void CancelWatch::watch(const CancelToken& token, const std::function<void()>& on_cancel) {
  std::unique_lock lock(mutex_);
  while (!ended_) {
    if (token.cancelled()) {
      on_cancel();
      return;
    }
    ended_changed_.wait_for(lock, kPeriod);
  }
}

}  // namespace qvl
