#include "runtime/cancel_watch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace qvl {
namespace {

using Clock = std::chrono::steady_clock;

// Whether it comes true soon.
template <class Condition>
bool soon(const Condition& condition) {
  for (const auto end = Clock::now() + std::chrono::seconds(10); Clock::now() < end;) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return condition();
}

TEST(CancelWatchTest, CallsOnceFromAnotherThread) {
  CancelToken token;
  std::atomic<int> calls{0};
  std::atomic<std::thread::id> caller{std::this_thread::get_id()};
  const CancelWatch watch(&token, [&] {
    caller = std::this_thread::get_id();
    ++calls;
  });
  std::this_thread::sleep_for(3 * CancelWatch::kPeriod);
  EXPECT_EQ(calls, 0);
  token.cancel();
  EXPECT_TRUE(soon([&] { return calls == 1; }));
  std::this_thread::sleep_for(3 * CancelWatch::kPeriod);
  EXPECT_EQ(calls, 1);
  EXPECT_NE(caller.load(), std::this_thread::get_id());
}

TEST(CancelWatchTest, NoTokenIsNoWatch) {
  const CancelWatch watch(nullptr, [] { FAIL(); });
  std::this_thread::sleep_for(3 * CancelWatch::kPeriod);
}

TEST(CancelWatchTest, NothingIsCalledAfterItsEnd) {
  for (int i = 0; i < 200; ++i) {
    CancelToken token;
    auto calls = std::make_unique<std::atomic<int>>(0);
    {
      const CancelWatch watch(&token, [&] { ++*calls; });
      token.cancel();
      if (i % 2 == 0) std::this_thread::sleep_for(std::chrono::microseconds(100 * i));
    }
    calls.reset();  // a late call would be a use after free
  }
}

// The thread sleeps when nothing is watched for a while, and wakes up again.
TEST(CancelWatchTest, WatchesAgainAfterAPause) {
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(15 * CancelWatch::kPeriod);
    CancelToken token;
    token.cancel();
    std::atomic<bool> called{false};
    const CancelWatch watch(&token, [&] { called = true; });
    EXPECT_TRUE(soon([&] { return called.load(); }));
  }
}

TEST(CancelWatchTest, EachWatchHasItsOwnToken) {
  constexpr std::size_t kThreads = 8;
  std::vector<CancelToken> tokens(kThreads);
  std::vector<std::atomic<int>> calls(kThreads);
  std::vector<std::jthread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const CancelWatch watch(&tokens[t], [&, t] { ++calls[t]; });
      if (t % 2 == 0) tokens[t].cancel();
      EXPECT_TRUE(t % 2 != 0 || soon([&] { return calls[t] == 1; }));
    });
  }
  threads.clear();
  for (std::size_t t = 0; t < kThreads; ++t) EXPECT_EQ(calls[t], t % 2 == 0 ? 1 : 0) << t;
}

}  // namespace
}  // namespace qvl
