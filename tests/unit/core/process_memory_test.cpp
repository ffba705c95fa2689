#include "core/process_memory.h"

#include <gtest/gtest.h>

#include <vector>

namespace qvl {
namespace {

TEST(ProcessMemory, CountsWhatIsAllocated) {
  const auto before = process_memory();
  ASSERT_TRUE(before);
  constexpr std::uint64_t kBytes = std::uint64_t{64} << 20U;
  const std::vector<char> block(kBytes, 1);
  const auto with = process_memory();
  ASSERT_TRUE(with);
  EXPECT_EQ(block[kBytes / 2], 1);
  // The kernel counts in batches, so some pages may be missing.
  EXPECT_GE(with->resident_bytes + (1U << 20U), before->resident_bytes + kBytes);
  EXPECT_GE(with->anonymous_bytes + (1U << 20U), before->anonymous_bytes + kBytes);
  EXPECT_GE(with->peak_bytes, with->resident_bytes - (1U << 20U));
  EXPECT_GT(with->file_bytes, 0U);
}

TEST(ProcessMemory, MachineHasSomeLeft) {
  const auto available = available_memory_bytes();
  ASSERT_TRUE(available);
  EXPECT_GT(*available, std::uint64_t{16} << 20U);
  EXPECT_LT(*available, std::uint64_t{1} << 50U);
}

}  // namespace
}  // namespace qvl
