#include "bench/samples.h"

#include <gtest/gtest.h>

#include "bench/timed_runs.h"
#include "qvl/error.h"

namespace qvl {
namespace {

Samples of(std::initializer_list<double> values) {
  Samples samples;
  for (const double value : values) samples.add(value);
  return samples;
}

TEST(Samples, MedianIsTheMiddleOrTheMeanOfTheMiddleTwo) {
  EXPECT_EQ(of({3, 1, 2}).median(), 2);
  EXPECT_EQ(of({4, 1, 3, 2}).median(), 2.5);
  EXPECT_EQ(of({7}).median(), 7);
  // One run that went wrong does not move it.
  EXPECT_EQ(of({2, 2, 2, 2, 1000}).median(), 2);
}

TEST(Samples, SpreadIsTheRangeAsAPartOfTheMedian) {
  const Samples samples = of({12, 10, 9});
  EXPECT_EQ(samples.min(), 9);
  EXPECT_EQ(samples.max(), 12);
  EXPECT_DOUBLE_EQ(samples.spread(), 0.3);
  EXPECT_EQ(of({5}).spread(), 0);
  EXPECT_EQ(of({-1, 0, 1}).spread(), 0);
  EXPECT_EQ(samples.values(), (std::vector<double>{12, 10, 9}));
}

TEST(Samples, OfNothingAreZero) {
  const Samples none;
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(none.median(), 0);
  EXPECT_EQ(none.min(), 0);
  EXPECT_EQ(none.max(), 0);
  EXPECT_EQ(none.spread(), 0);
}

TEST(TimedRuns, CallsAsOftenAsAskedFor) {
  int calls = 0;
  const Samples samples = time_runs({.warm_up = 2, .runs = 3, .least_seconds = 0}, "test", [&] { ++calls; });
  EXPECT_EQ(calls, 5);
  EXPECT_EQ(samples.values().size(), 3U);
  EXPECT_GE(samples.min(), 0);
}

// What is too short for the clock is called many times, and counts once.
TEST(TimedRuns, RepeatsShortCalls) {
  int calls = 0;
  const Samples samples =
      time_runs({.warm_up = 0, .runs = 1, .least_seconds = 0.01}, "test", [&] { ++calls; });
  ASSERT_EQ(samples.values().size(), 1U);
  EXPECT_GE(samples.median() * calls, 0.01 * 0.999);  // the mean of all calls
}

TEST(TimedRuns, RefusesNoRunsAndStopsWhenCancelled) {
  const auto nothing = [] {};
  EXPECT_THROW((void)time_runs({.runs = 0}, "test", nothing), UsageError);
  EXPECT_THROW((void)time_runs({.warm_up = -1}, "test", nothing), UsageError);
  CancelToken cancel;
  int calls = 0;
  const auto cancels = [&] {
    if (++calls == 2) cancel.cancel();
  };
  EXPECT_THROW((void)time_runs({.runs = 5, .least_seconds = 0, .cancel = &cancel}, "test", cancels),
               Interrupted);
  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace qvl
