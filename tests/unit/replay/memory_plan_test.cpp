#include "replay/memory_plan.h"

#include <gtest/gtest.h>

#include <string>

#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

TEST(MemoryPlan, RefusesWithTheFigureThatWouldDo) {
  for (const std::uint64_t fixed : {0 * kMiB, 7 * kMiB + 3, 500 * kMiB, 2000 * kMiB}) {
    for (const std::uint64_t run : {0 * kMiB, 1 * kMiB, 333 * kMiB + 1}) {
      for (const std::uint64_t sample : {std::uint64_t{0}, std::uint64_t{1}, 10 * kMiB - 1}) {
        MemoryPlan small(1 * kMiB);
        small.learn(fixed, run, sample);
        std::string message;
        try {
          (void)small.workers(2);
        } catch (const MachineError& error) {
          message = error.what();
        }
        const std::string start = "1 MiB of memory do not suffice for this model and these samples; ";
        ASSERT_TRUE(message.starts_with(start)) << message;
        const std::uint64_t enough = std::stoull(message.substr(start.size()));
        MemoryPlan plan(enough * kMiB);
        plan.learn(fixed, run, sample);
        EXPECT_EQ(plan.workers(1), 1U) << message;
        // And not much more than needed.
        if (enough < 3) continue;
        MemoryPlan less((enough - 2) * kMiB);
        less.learn(fixed, run, sample);
        EXPECT_THROW((void)less.workers(1), MachineError) << message;
      }
    }
  }
}

TEST(MemoryPlan, AsManyRunsAtOnceAsFit) {
  MemoryPlan plan(1000 * kMiB);
  plan.learn(100 * kMiB, 150 * kMiB, 10 * kMiB);
  // 1000 - 250 for weights - 100 - 4 samples = 610
  EXPECT_EQ(plan.weight_bytes(), 250 * kMiB);
  EXPECT_EQ(plan.workers(16), 4U);
  EXPECT_EQ(plan.workers(3), 3U);
  EXPECT_EQ(plan.sample_bytes(), 10 * kMiB);
  // What is left is for states.
  EXPECT_EQ(plan.state_bytes(2), (1000 - 250 - 100 - 300) * kMiB);
  EXPECT_EQ(plan.state_bytes(4), (1000 - 250 - 100 - 600) * kMiB);
  EXPECT_EQ(plan.state_bytes(8), 40 * kMiB);  // four samples at least
}

TEST(MemoryPlan, TakesWhatTheMachineHas) {
  MemoryPlan plan(0);
  EXPECT_GT(plan.limit_bytes(), MemoryPlan::resident());
  plan.learn(MemoryPlan::resident(), kMiB, kMiB);
  EXPECT_GE(plan.workers(1), 1U);
}

}  // namespace
}  // namespace qvl
