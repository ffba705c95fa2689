#include "core/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace qvl {
namespace {

TEST(Parallel, EveryPieceIsDoneOnce) {
  for (const unsigned workers : {1U, 2U, 3U, 8U}) {
    std::vector<std::atomic<int>> done(1000);
    std::atomic<bool> worker_in_range{true};
    parallel_for(done.size(), workers, nullptr, [&](std::size_t piece, unsigned worker) {
      ++done[piece];
      if (worker >= workers) worker_in_range = false;
    });
    for (const auto& times : done) EXPECT_EQ(times, 1);
    EXPECT_TRUE(worker_in_range);
  }
  parallel_for(0, 3, nullptr, [](std::size_t, unsigned) { FAIL(); });
}

TEST(Parallel, AFailureEndsTheWorkAndIsThrown) {
  for (const unsigned workers : {1U, 3U}) {
    std::atomic<std::size_t> done{0};
    const auto work = [&](std::size_t piece, unsigned) {
      if (piece == 5) throw std::runtime_error("piece 5");
      ++done;
    };
    EXPECT_THROW(parallel_for(1'000'000'000, workers, nullptr, work), std::runtime_error);
    EXPECT_LT(done, 1'000'000'000U);
  }
}

TEST(Parallel, Cancels) {
  CancelToken cancel;
  std::atomic<std::size_t> done{0};
  const auto work = [&](std::size_t piece, unsigned) {
    if (piece == 5) cancel.cancel();
    ++done;
  };
  EXPECT_THROW(parallel_for(1'000'000'000, 2, &cancel, work), Interrupted);
  EXPECT_LT(done, 1'000'000'000U);
}

TEST(Parallel, WorkersAreOneToEight) {
  EXPECT_EQ(worker_count(1), 1U);
  EXPECT_EQ(worker_count(3), 3U);
  EXPECT_EQ(worker_count(1000), 8U);
  EXPECT_GE(worker_count(0), 1U);
  EXPECT_LE(worker_count(0), 8U);
}

}  // namespace
}  // namespace qvl
