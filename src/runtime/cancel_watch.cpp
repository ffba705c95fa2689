#include "runtime/cancel_watch.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "qvl/error.h"

namespace qvl {
namespace {

class Watcher {
 public:
  // Never destroyed: its thread, which sleeps while nothing is watched, may outlive main().
  static Watcher& get() {
    static auto* const watcher = new Watcher;
    return *watcher;
  }

  std::uint64_t add(const CancelToken& token, std::function<void()> call) {
    const std::lock_guard lock(mutex_);
    if (!started_) {
      try {
        std::thread([this] { watch(); }).detach();
      } catch (const std::system_error& error) {
        throw MachineError(std::string("cannot start a thread: ") + error.what());
      }
      started_ = true;
    }
    watched_.emplace(++last_, Watched{&token, std::move(call)});
    if (watched_.size() == 1 && sleeps_) woken_.notify_one();
    return last_;
  }

  void remove(std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    watched_.erase(number);
  }

 private:
  struct Watched {
    const CancelToken* token;
    std::function<void()> call;  // empty when it was made
  };

  void watch() {
    std::unique_lock lock(mutex_);
    int idle = 0;
    for (;;) {
      for (auto& [number, watched] : watched_) {
        if (watched.call && watched.token->cancelled()) std::exchange(watched.call, nullptr)();
      }
      idle = watched_.empty() ? idle + 1 : 0;
      sleeps_ = idle >= kPeriodsBeforeSleep;
      if (sleeps_) {
        woken_.wait(lock, [this] { return !watched_.empty(); });
        idle = 0;
        sleeps_ = false;
      } else {
        woken_.wait_for(lock, CancelWatch::kPeriod);
      }
    }
  }

  // Between short runs there is nothing to watch for a moment; waking the thread for each would cost more
  // than it is worth.
  static constexpr int kPeriodsBeforeSleep = 10;

  std::mutex mutex_;
  std::condition_variable woken_;
  std::map<std::uint64_t, Watched> watched_;
  std::uint64_t last_ = 0;
  bool started_ = false;
  bool sleeps_ = false;
};

}  // namespace

CancelWatch::CancelWatch(const CancelToken* token, std::function<void()> on_cancel) {
  if (token != nullptr) number_ = Watcher::get().add(*token, std::move(on_cancel));
}

CancelWatch::~CancelWatch() {
  if (number_ != 0) Watcher::get().remove(number_);
}

}  // namespace qvl
