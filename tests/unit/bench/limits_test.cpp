// The kernels compute what they should (or the compiler could leave them out), and the limits are numbers.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numeric>
#include <vector>

#include "bench/disk_speed.h"
#include "bench/fma_kernel.h"
#include "bench/machine_info.h"
#include "bench/machine_limits.h"
#include "bench/memory_kernels.h"
#include "core/process_memory.h"
#include "qvl/error.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

TEST(FmaKernel, EveryInstructionSetGivesTheBitsOfStdFma) {
  std::array<float, kFmaValues> start;
  for (std::size_t i = 0; i < start.size(); ++i) start[i] = static_cast<float>(i) * 1.37F - 100.0F;
  for (const std::int64_t steps : {0, 1, 7, 40}) {
    std::array<float, kFmaValues> expected = start;
    for (float& x : expected) {
      for (std::int64_t step = 0; step < steps; ++step) x = std::fma(x, 0.5F, 1.0F);
    }
    for (const Isa isa : supported_isas()) {
      std::array<float, kFmaValues> values = start;
      run_fma(values, steps, isa);
      EXPECT_EQ(values, expected) << name(isa) << " " << steps;
    }
  }
  std::array<float, kFmaValues - 1> few{};
  EXPECT_THROW(run_fma(few, 1), UsageError);
}

TEST(MemoryKernels, EveryInstructionSetSumsAndCopiesAllWords) {
  struct alignas(64) Words {
    std::array<std::uint64_t, 8 * kMemoryWords> w;
  };
  Words from;
  std::uint64_t state = 1;
  for (std::uint64_t& word : from.w) word = state = state * 6364136223846793005U + 1442695040888963407U;
  const std::uint64_t sum = std::accumulate(from.w.begin(), from.w.end(), std::uint64_t{0});
  for (const Isa isa : supported_isas()) {
    EXPECT_EQ(sum_words(from.w, isa), sum) << name(isa);
    Words to{};
    copy_words(from.w, to.w, isa);
    EXPECT_EQ(to.w, from.w) << name(isa);
    const auto half = std::span(from.w).first(4 * kMemoryWords);
    EXPECT_EQ(sum_words(half, isa), std::accumulate(half.begin(), half.end(), std::uint64_t{0}));
  }
  Words to{};
  const std::span<const std::uint64_t> words(from.w);
  EXPECT_THROW((void)sum_words(words.first(kMemoryWords - 1)), UsageError);
  EXPECT_THROW((void)sum_words(words.subspan(1, kMemoryWords)), UsageError);
  EXPECT_THROW(copy_words(words, std::span(to.w).first(kMemoryWords)), UsageError);
}

LimitsOptions all_limits(const fs::path& folder) {
  return {.seconds = 0.01,
          .disk = true,
          .memory = true,
          .arithmetic = true,
          .disk_folder = folder,
          .disk_bytes = 4U << 20U};
}

TEST(MachineLimits, ArePlausible) {
  const test::TemporaryFolder folder;
  const MachineLimits limits = measure_limits(all_limits(folder.path()));
  EXPECT_GT(limits.disk_buffered_bytes, 1e5);
  EXPECT_GE(limits.disk_direct_bytes, 0);
  EXPECT_EQ(limits.disk_write_bytes(), std::max(limits.disk_buffered_bytes, limits.disk_direct_bytes));
  EXPECT_GT(limits.memory_read_bytes, 1e7);
  EXPECT_GT(limits.memory_copy_bytes, 1e7);
  EXPECT_GT(limits.f32_flop, 1e7);
  for (const double limit : {limits.disk_buffered_bytes, limits.disk_direct_bytes, limits.memory_read_bytes,
                             limits.memory_copy_bytes, limits.f32_flop / 100}) {
    EXPECT_LT(limit, 1e14);
  }
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(MachineLimits, OnlyWhatIsAskedForIsMeasured) {
  LimitsOptions options = all_limits("/none");
  options.disk = options.memory = false;
  const MachineLimits limits = measure_limits(options);
  EXPECT_EQ(limits.memory_read_bytes, 0);
  EXPECT_GT(limits.f32_flop, 0);
  options = all_limits("/none");
  options.seconds = 0;
  EXPECT_EQ(measure_limits(options).f32_flop, 0);
}

TEST(MachineLimits, TheBestOfTwoIsTheBestOfEach) {
  const MachineLimits a{1, 20, 3, 40, 5};
  const MachineLimits b{10, 2, 30, 4, 50};
  const MachineLimits best = MeasuredLimits{a, b}.best();
  EXPECT_EQ(best.disk_buffered_bytes, 10);
  EXPECT_EQ(best.disk_direct_bytes, 20);
  EXPECT_EQ(best.memory_read_bytes, 30);
  EXPECT_EQ(best.memory_copy_bytes, 40);
  EXPECT_EQ(best.f32_flop, 50);
  EXPECT_EQ(share_of(5, best.f32_flop), 0.1);
  EXPECT_EQ(share_of(5, 0), 0);
}

TEST(MachineLimits, RefusesImpossibleTimesAndPlaces) {
  for (const double seconds : {-1.0, 1e9, std::nan("")}) {
    LimitsOptions options = all_limits("/none");
    options.seconds = seconds;
    EXPECT_THROW((void)measure_limits(options), UsageError) << seconds;
  }
  EXPECT_THROW((void)measure_disk_write({.folder = "/none", .seconds = 0.01}, nullptr), InputError);
  EXPECT_THROW((void)measure_disk_write({.folder = "/proc", .seconds = 0.01}, nullptr), InputError);
}

TEST(MachineLimits, AreInterrupted) {
  const test::TemporaryFolder folder;
  CancelToken cancel;
  cancel.cancel();
  for (const int which : {0, 1, 2}) {
    LimitsOptions options = all_limits(folder.path());
    options.seconds = 30;
    options.disk = which == 0;
    options.memory = which == 1;
    options.arithmetic = which == 2;
    options.cancel = &cancel;
    EXPECT_THROW((void)measure_limits(options), Interrupted) << which;
  }
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(MachineInfo, IsKnown) {
  const MachineInfo info = machine_info();
  EXPECT_GE(info.processors, 1U);
  EXPECT_EQ(info.instructions, name(best_isa()));
  EXPECT_GT(info.memory_bytes, 1U << 28U);
  EXPECT_GT(info.memory_bytes, available_memory_bytes().value());
  EXPECT_NE(info.system, "");
}

}  // namespace
}  // namespace qvl
