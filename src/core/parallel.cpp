#include "core/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace qvl {

unsigned worker_count(int wanted) noexcept {
  constexpr unsigned kMostWorkers = 8;
  const unsigned count = wanted > 0 ? static_cast<unsigned>(wanted) : std::thread::hardware_concurrency();
  return std::clamp(count, 1U, kMostWorkers);
}

void parallel_for(std::size_t pieces, unsigned workers, const CancelToken* cancel,
                  const std::function<void(std::size_t piece, unsigned worker)>& work) {
  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto run = [&](unsigned worker) noexcept {
    try {
      for (std::size_t piece = next++; piece < pieces && !failed; piece = next++) {
        if (cancel != nullptr) cancel->throw_if_cancelled();
        work(piece, worker);
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failed) failure = std::current_exception();
      failed = true;
    }
  };
  {
    std::vector<std::jthread> others;
    try {
      while (others.size() + 1 < std::min<std::size_t>(workers, pieces)) {
        others.emplace_back(run, static_cast<unsigned>(others.size() + 1));
      }
    } catch (const std::system_error&) {
      // Fewer threads than wanted can be had: those that there are do the work.
    }
    run(0);
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace qvl
